import type { Translation } from "..";
import type en from "../en/charts";

export default {
  table: "Tabla",
  tableOf: "{title}: como tabla",
  time: "Hora",
  empty: "No se midió nada en este intervalo.",
} satisfies Translation<typeof en>;

import type { Translation } from "..";
import type en from "../en/chores";

export default {
  every: "La próxima vez, {when}; por sí solo cada {time}.",
  every_soon: "Por sí solo cada {time}; la próxima vez, en cuanto no haya otra tarea.",
  never: "Solo cuando alguien lo pide.",
  last: "La última vez que fue bien: {when}.",
  last_never: "Por sí solo aún no ha llegado a su fin.",
  failing: "La última vez falló: {reason}",
  queued: "Espera a que termine otra tarea.",
  running: "Trabajando desde hace {time}.",
  cancel: "Cancelar",
  cancelled: "Se canceló.",
  started: "Empezado",
  "done.backup": "La copia está hecha",
  "done.verify": "La copia se ha leído",
  "done.maintain": "El mantenimiento ha terminado",
  "done.check": "La base de datos se ha comprobado",
  "done.doctor": "El diagnóstico ha terminado",
  failed: "Falló: {reason}",
  no_reason: "no dio ningún motivo",
} satisfies Translation<typeof en>;

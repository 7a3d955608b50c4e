import type { Strings } from "..";

export default {
  table: "Table",
  tableOf: "{title}: as a table",
  time: "Time",
  empty: "Nothing was measured in this range.",
} as const satisfies Strings;

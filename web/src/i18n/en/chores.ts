import type { Strings } from "..";

/** Chores: work that the supervisor does on its schedule, or when somebody asks. */
export default {
  every: "Next {when}, by itself every {time}.",
  every_soon: "By itself every {time}, next as soon as nothing else runs.",
  never: "Only when somebody asks.",
  last: "It last went well {when}.",
  last_never: "By itself it has not run to its end yet.",
  failing: "The last one failed: {reason}",
  queued: "It waits until another chore has ended.",
  running: "At work since {time}.",
  cancel: "Cancel",
  cancelled: "It was cancelled.",
  started: "Begun",
  "done.backup": "The backup is there",
  "done.verify": "The backup was read",
  "done.maintain": "Maintenance is done",
  "done.check": "The database was checked",
  "done.doctor": "The doctor has looked",
  failed: "It failed: {reason}",
  no_reason: "it gave no reason",
} as const satisfies Strings;

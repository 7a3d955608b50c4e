/* Of lowlight only the way to make one: its index would bring every language there is. */
export { createLowlight } from "lowlight";

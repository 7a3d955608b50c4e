/* Everything a screen is built of. ComboBox and charts are imported from their own files: they are heavy. */
export { Button, IconButton } from "./Button";
export { Checkbox, SearchField, Select, Switch, TextArea, TextField } from "./fields";
export type { Option } from "./fields";
export { Menu } from "./Menu";
export type { MenuEntry } from "./Menu";
export { Dialog, useConfirm } from "./Dialog";
export type { Confirmation } from "./Dialog";
export { Tabs } from "./Tabs";
export { toast } from "./Toast";
export { Tooltip } from "./Tooltip";
export { Table, VirtualList } from "./Table";
export type { Column, Sort } from "./Table";
export {
  Badge, Card, CodeBlock, CopyButton, EmptyState, ErrorState, Kbd, KeyValues, Meter, Note, Page, Skeleton, SkeletonLines, Status, Time, Unknown, copyText, useErrorText,
} from "./small";
export { cx } from "./cx";

/* Every address of the page lies under /ui, where no module has a route; "/" leads here. */
export const BASE = "/ui";
if (!window.location.pathname.startsWith(`${BASE}/`)) window.history.replaceState(null, "", `${BASE}/`);

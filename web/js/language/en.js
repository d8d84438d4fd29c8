// English, the language that has every text.

export const en = {
  name: "English",
  cancel: "Cancel",
  close: "Close",
  save: "Save",
  delete: "Delete",
  undo: "Undo",
  retry: "Try again",
  add: "Add",
  edit: "Edit",
  copy: "Copy",
  copied: "Copied",
  more: "More",
  loading: "Loading…",
  skip: "Skip to the content",
  error: {
    unknown: "Something went wrong.",
    status: "The server answered with an error ({status}).",
    offline: "The server cannot be reached. Nothing is lost; try again when it is back.",
    offline_banner: "The server cannot be reached. Trying again…",
    not_found: "There is nothing at this address.",
    go_home: "Start a chat",
  },
  sidebar: { label: "Conversations", show: "Show the sidebar", hide: "Hide the sidebar" },
};

// German, whole: a test compares its keys with English.

export const de = {
  name: "Deutsch",
  cancel: "Abbrechen",
  close: "Schließen",
  save: "Speichern",
  delete: "Löschen",
  undo: "Rückgängig",
  retry: "Nochmal versuchen",
  add: "Hinzufügen",
  edit: "Bearbeiten",
  copy: "Kopieren",
  copied: "Kopiert",
  more: "Mehr",
  loading: "Lädt…",
  skip: "Zum Inhalt",
  error: {
    unknown: "Etwas ist schiefgegangen.",
    status: "Der Server hat mit einem Fehler geantwortet ({status}).",
    offline: "Der Server ist nicht erreichbar. Nichts ist verloren; versuche es wieder, wenn er zurück ist.",
    offline_banner: "Der Server ist nicht erreichbar. Neuer Versuch läuft…",
    not_found: "Unter dieser Adresse ist nichts.",
    go_home: "Chat beginnen",
  },
  sidebar: { label: "Unterhaltungen", show: "Seitenleiste zeigen", hide: "Seitenleiste verbergen" },
};

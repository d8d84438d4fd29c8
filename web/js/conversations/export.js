// A conversation as a Markdown file.

import { api } from "../api.js";
import { notice } from "../overlay.js";
import { formatTime } from "../format.js";
import { t } from "../language.js";

/** A fence that is longer than any in the text. */
function fenced(text, kind = "") {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${kind}\n${text}\n${fence}`;
}

function partMarkdown(part) {
  switch (part.type) {
    case "text":
      return part.text;
    case "image":
      return part.url ? `![](${part.url})` : `*${t("conversations.export_image")}*`;
    case "file":
      return `*${t("conversations.export_file", { name: part.name ?? "" })}*`;
    case "tool_call":
      return `*${t("conversations.export_tool", { name: part.name })}*\n\n${fenced(JSON.stringify(part.arguments ?? {}, null, 2), "json")}`;
    default:
      return null;
  }
}

function messageMarkdown(message) {
  const parts = message.content.map(partMarkdown).filter(Boolean);
  const isAnswer = message.role === "assistant";
  const sources = isAnswer ? message.content.filter((part) => part.type === "citation") : [];
  if (sources.length) {
    const place = (source) => (source.page ? `, ${t("conversations.export_page", { page: source.page })}` : "");
    parts.push(sources.map((source) => `[${source.n}] ${source.title}${place(source)}`).join("  \n"));
  }
  if (!parts.length || message.role === "tool") return null;
  const speaker = isAnswer ? (message.model ?? "").replace(/^[^/]*\//, "") || t("conversations.export_model") : t(`conversations.export_${message.role}`);
  return `## ${speaker}\n\n*${formatTime(message.created_at)}*\n\n${parts.join("\n\n")}`;
}

/** Saves the branch that ends with message `leaf` (or the open one) as a file of Markdown. */
export async function exportConversation(conversation, leaf = null) {
  let messages = [];
  let cursor = null;
  do {
    const page = await api.get(`/conversations/${conversation.id}/messages`, { leaf, limit: 200, cursor });
    messages = [...page.data, ...messages];
    cursor = page.next_cursor;
  } while (cursor);
  const text = [`# ${conversation.title}`, ...messages.map(messageMarkdown).filter(Boolean)].join("\n\n");
  const url = URL.createObjectURL(new Blob([text, "\n"], { type: "text/markdown;charset=utf-8" }));
  const anchor = document.createElement("a");
  anchor.href = url;
  // Signs that file systems refuse.
  anchor.download = `${conversation.title.replace(/[\\/:*?"<>|\p{Cc}]+/gu, " ").trim().slice(0, 80) || "conversation"}.md`;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
  notice(t("conversations.exported"));
}

// Where a message is written: its text, what goes along with it, and who answers.

import { each, el, when } from "../dom.js";
import { icon } from "../icons.js";
import { iconButton } from "../overlay.js";
import { computed, onCleanup, signal, untracked } from "../reactive.js";
import { formatBytes } from "../format.js";
import { modelName, modelOf } from "../models.js";
import { chooseFiles } from "../knowledge/drop.js";
import { t } from "../language.js";
import { attachmentList, LONG_PASTE } from "./attachments.js";
import { keepDraft, recallDraft } from "./draft.js";
import { documentsForCollection } from "./document_drop.js";
import { modelButton } from "./model_picker.js";
import { promptMenu } from "./prompt_menu.js";
import { chosenChips, openAddMenu } from "./turn_choices.js";
import { sendKey } from "../settings/preferences.js";

const isTouch = matchMedia("(pointer: coarse)");

/**
 * The composer of a thread. Gives `{ node, focus(), fill(text, items), takeFiles(files) }`. `send(text, items)` says whether it took the
 * message; `stop()` stops the answer that is being written.
 */
export function composer(thread, settings, { send, stop, openSettings }) {
  const draft = recallDraft(thread.id.peek());
  const text = signal(draft.text);
  const attachments = attachmentList();
  attachments.set(draft.items);
  let timer = null;

  const save = () => {
    clearTimeout(timer);
    timer = null;
    keepDraft(thread.id.peek(), { text: text.peek(), items: attachments.items.peek() });
  };
  const saveSoon = () => (timer ??= setTimeout(save, 250));
  const saveNow = () => timer && save();
  addEventListener("pagehide", saveNow);
  onCleanup(() => {
    saveNow();
    removeEventListener("pagehide", saveNow);
  });

  const grow = () => {
    if (CSS.supports("field-sizing", "content")) return;
    field.style.height = "auto";
    field.style.height = `${Math.min(field.scrollHeight, innerHeight * 0.4)}px`;
  };
  const setText = (value) => {
    text.set(value);
    if (field.value !== value) field.value = value;
    grow();
    saveSoon();
  };
  const prompts = promptMenu(text, (prompt) => {
    setText(prompt.content);
    field.focus();
  });

  async function takeFiles(files) {
    await taken(attachments.add(files));
  }

  async function taken(adding) {
    const documents = await adding;
    saveSoon();
    if (documents.length) await documentsForCollection(documents, settings);
    field.focus();
  }

  function pasted(event) {
    const files = [...event.clipboardData.files];
    const pastedText = event.clipboardData.getData("text/plain");
    // Office programs put a picture of the text beside it.
    if (files.length && !pastedText) {
      event.preventDefault();
      takeFiles(files);
    } else if (pastedText.length > LONG_PASTE) {
      event.preventDefault();
      taken(attachments.addText(pastedText));
    }
  }

  const isEmpty = computed(() => !text().trim() && !attachments.items().length);

  function submit() {
    if (isEmpty.peek() || thread.running.peek()) return;
    if (!send(text.peek(), attachments.items.peek())) return;
    attachments.set([]);
    setText("");
    save();
    field.focus();
  }

  function keydown(event) {
    // Enter of an input method takes its word, not the message.
    if (event.isComposing || event.keyCode === 229) return;
    if (prompts.onkeydown(event)) return;
    const isPlainSend = sendKey.peek() === "enter" && !isTouch.matches;
    const isSend = event.key === "Enter" && !event.shiftKey && !event.altKey && (isPlainSend || event.ctrlKey || event.metaKey);
    if (isSend) {
      event.preventDefault();
      submit();
    } else if (event.key === "Escape" && thread.running.peek()) {
      event.preventDefault();
      stop();
    }
  }

  const field = el("textarea.composer-text", {
    rows: 1,
    dir: "auto",
    value: untracked(() => text()),
    placeholder: t("chat.placeholder"),
    "aria-label": t("chat.placeholder"),
    enterkeyhint: isTouch.matches ? "enter" : "send",
    ...prompts.attributes,
    oninput: () => (setText(field.value), prompts.typed()),
    onkeydown: keydown,
    onpaste: pasted,
  });
  queueMicrotask(grow);

  const attachmentChip = (item) =>
    el(
      "span.chip",
      { class: () => (item().kind === "image" ? "picture" : "") },
      item.peek().kind === "image" ? el("img", { src: `data:${item.peek().media_type};base64,${item.peek().data}`, alt: "" }) : icon("file"),
      el("span.truncate", { dir: "auto" }, item.peek().name, item.peek().size ? el("small.muted", {}, ` ${formatBytes(item.peek().size)}`) : null),
      el("button.chip-remove", { type: "button", "aria-label": t("chat.remove", { name: item.peek().name }), onclick: () => (attachments.remove(item.peek().id), saveSoon(), field.focus()) }, icon("close")),
    );

  const hasPicture = computed(() => attachments.items().some((item) => item.kind === "image"));
  const isBlind = computed(() => hasPicture() && settings.model() && modelOf(settings.model()) && !modelOf(settings.model()).capabilities.includes("vision"));
  const addButton = iconButton("add", t("chat.add"), () => openAddMenu(addButton, settings, { attach: () => chooseFiles(takeFiles), openSettings }), { "aria-haspopup": "menu", "aria-expanded": "false" });

  const node = el(
    "form.composer",
    { onsubmit: (event) => (event.preventDefault(), submit()), "aria-label": t("chat.composer") },
    prompts.node,
    el("div.chips", {}, each(attachments.items, (item) => item.id, attachmentChip), chosenChips(settings)),
    () => (attachments.error() ? el("p.error-text", { role: "alert" }, attachments.error()) : null),
    when(isBlind, () => el("p.small.muted.composer-note", { role: "status" }, () => t("chat.attach.blind", { name: modelName(settings.model()) }))),
    field,
    el(
      "div.composer-row",
      {},
      addButton,
      el("span.grow", {}),
      modelButton(settings.model, settings.chooseModel),
      when(
        () => thread.running(),
        () => el("button.round.stop", { type: "button", "aria-label": t("chat.stop"), title: t("chat.stop"), onclick: stop }, icon("stop")),
        () => el("button.round.send", { type: "submit", "aria-label": t("chat.send"), title: t("chat.send"), disabled: isEmpty }, icon("send")),
      ),
    ),
  );
  return {
    node,
    takeFiles,
    focus: () => field.focus({ preventScroll: true }),
    fill(value, items = []) {
      setText(text.peek().trim() ? `${value}\n\n${text.peek()}` : value);
      if (items.length) attachments.set([...items, ...attachments.items.peek()]);
      field.focus();
    },
  };
}

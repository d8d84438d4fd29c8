// Forms out of descriptions of their fields.

import { el, freshId } from "../dom.js";
import { signal } from "../reactive.js";
import { openDialog } from "../overlay.js";
import { t } from "../language.js";

const INPUTS = { text: "text", email: "email", url: "url", password: "password", number: "number", time: "datetime-local", day: "date" };

/** How a field's value is sent: nothing typed is `null`, a number is one, a local time is one of the world. */
function sentValue(field, value) {
  if (field.kind === "number") return value === "" ? null : Number(value);
  if (field.kind === "time") return value ? new Date(value).toISOString() : null;
  if (typeof value !== "string" || field.kind === "password" || field.kind === "area") return value;
  return value.trim();
}

function formControl(field, value, id, describedBy, isShown) {
  // What is not shown must not keep a browser from sending the form.
  const required = () => Boolean(field.isRequired && isShown());
  const shared = { id, name: field.name, required, autofocus: field.isFirst, "aria-describedby": describedBy };
  const typed = { ...shared, value: value.peek(), oninput: (event) => value.set(event.target.value) };
  if (field.kind === "select") {
    const options = () => (typeof field.options === "function" ? field.options() : field.options);
    const drawn = () => options().map(([key, label]) => el("option", { value: key, selected: key === value.peek() }, label));
    return el("select", { ...shared, onchange: (event) => value.set(event.target.value) }, typeof field.options === "function" ? drawn : drawn());
  }
  if (field.kind === "area") {
    return el("textarea", { ...typed, rows: field.rows ?? 6, maxlength: field.max, placeholder: field.placeholder, dir: "auto" });
  }
  return el("input", {
    ...typed,
    type: INPUTS[field.kind ?? "text"],
    maxlength: field.kind === "number" ? null : (field.max ?? 2000),
    min: field.min,
    max: field.kind === "number" ? field.max : null,
    step: field.kind === "number" ? (field.step ?? 1) : null,
    list: field.list,
    placeholder: field.placeholder,
    autocomplete: field.autocomplete ?? "off",
    spellcheck: "false",
    dir: field.kind === "url" ? "ltr" : "auto",
  });
}

function formField(field, initial, valueOf) {
  const id = freshId("field");
  const isChecks = field.kind === "checks";
  const value = signal(
    initial ?? field.value ?? (field.kind === "check" ? false : isChecks ? [] : field.kind === "select" ? (field.options[0]?.[0] ?? "") : ""),
  );
  const fault = signal(null);
  const isShown = () => !field.when || Boolean(field.when(valueOf));
  const describedBy = () => [field.hint ? `${id}-hint` : null, fault() ? `${id}-fault` : null].filter(Boolean).join(" ") || null;
  const props = { hidden: () => !isShown(), class: () => (fault() ? "field-error" : "") };
  const rest = [field.hint ? el("small", { id: `${id}-hint` }, field.hint) : null, () => fault() && el("p.error-text", { id: `${id}-fault` }, fault())];
  let node;
  if (field.kind === "check") {
    const box = el("input", {
      id,
      type: "checkbox",
      checked: value.peek(),
      "aria-describedby": describedBy,
      onchange: (event) => value.set(event.target.checked),
    });
    node = el("div.field", props, el("label.check", { for: id }, box, el("span", {}, field.label)), rest);
  } else if (isChecks) {
    const change = (key, isOn) => value.update((known) => (isOn ? [...known, key] : known.filter((one) => one !== key)));
    const box = ([key, label]) =>
      el(
        "label.check",
        {},
        el("input", { type: "checkbox", checked: value.peek().includes(key), onchange: (event) => change(key, event.target.checked) }),
        el("span", {}, label),
      );
    node = el(
      "div.field",
      { ...props, id, role: "group", tabindex: "-1", "aria-label": field.label },
      el("span", {}, field.label),
      field.options.map(box),
      rest,
    );
  } else {
    node = el("div.field", props, el("span", {}, el("label", { for: id }, field.label)), formControl(field, value, id, describedBy, isShown), rest);
  }
  return { field, id, node, value, fault, isShown };
}

/**
 * A form of `fields`: `{ name, label, kind, hint, isRequired, options, when(valueOf), isMore, … }`; those with `isMore` are
 * folded away. `send(values)` saves: faults of fields that it throws are shown beside them, others at the end.
 * Gives `{ id, node, valueOf, button(label), isBusy }`.
 */
export function makeForm(fields, { send, values = {}, done = () => {}, saysSaved = true }) {
  const id = freshId("form");
  const [isBusy, isDone, fault] = [signal(false), signal(false), signal(null)];
  const parts = [];
  const valueOf = (name) => parts.find((part) => part.field.name === name)?.value();
  for (const field of fields.filter(Boolean)) parts.push(formField(field, values[field.name], valueOf));
  const showFault = (error) => {
    const faulty = parts.filter((part) => {
      const found = error.fields?.find(({ path }) => path === part.field.name);
      part.fault.set(found ? `${part.field.label}: ${found.message}` : null);
      return found;
    });
    if (!faulty.length) return fault.set(error.message);
    const [first] = faulty;
    first.node.closest("details")?.setAttribute("open", "");
    document.getElementById(first.id)?.focus({ preventScroll: true });
    first.node.scrollIntoView({ block: "nearest" });
  };
  const submit = async (event) => {
    event.preventDefault();
    if (isBusy.peek()) return;
    const shown = parts.filter((part) => part.isShown());
    isBusy.set(true);
    fault.set(null);
    parts.forEach((part) => part.fault.set(null));
    try {
      const answer = await send(Object.fromEntries(shown.map((part) => [part.field.name, sentValue(part.field, part.value.peek())])));
      isDone.set(saysSaved);
      setTimeout(() => isDone.set(false), 2000);
      done(answer);
    } catch (error) {
      showFault(error);
    } finally {
      isBusy.set(false);
    }
  };
  const [plain, more] = [parts.filter((part) => !part.field.isMore), parts.filter((part) => part.field.isMore)];
  const node = el(
    "form.stack",
    { id, onsubmit: submit },
    plain.map((part) => part.node),
    more.length
      ? el(
          "details.settings-more",
          {},
          el("summary", {}, t("settings.more_options")),
          el(
            "div.stack",
            {},
            more.map((part) => part.node),
          ),
        )
      : null,
    () => fault() && el("p.error-text", { role: "alert" }, fault()),
  );
  // It stays reachable while it is busy, so that the focus does not go; a second press does nothing.
  const button = (label) =>
    el("button.primary", { type: "submit", form: id, "aria-busy": () => (isBusy() ? "true" : null) }, () => [
      isBusy() ? el("span.spinner") : null,
      isDone() ? t("settings.saved") : typeof label === "function" ? label() : label,
    ]);
  const reset = () => parts.forEach((part) => part.fault.set(null));
  return { id, node, valueOf, button, isBusy, reset };
}

/** The button that leaves a dialog as it was. */
export function cancelButton(close) {
  return el("button.quiet", { type: "button", onclick: () => close() }, t("cancel"));
}

/** Opens a form in a dialog; resolves with what `send(values)` gave, `undefined` where it was dismissed. */
export function openForm({ title, intro = null, fields, values, send, action = t("save"), wide = false }) {
  let form;
  return openDialog({
    title,
    wide,
    body: (close) => {
      form = makeForm(fields, { values, send, done: (answer) => close(answer ?? true) });
      return el("div.stack", {}, intro ? el("p.muted", {}, intro) : null, form.node);
    },
    actions: (close) => [cancelButton(close), form.button(action)],
  });
}

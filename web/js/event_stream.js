// Server-sent events of a `Response`, so that requests other than GET can be followed too.

/** Longest event that is read; what is longer is a fault of the sender. */
const MAX_EVENT = 64 * 1024 * 1024;
/** The server says something every 15 s: after so many milliseconds without a word the connection is dead, though nobody said so. */
const MAX_SILENCE = 45_000;

/** Yields `{ id, event, data }` (data parsed) until the stream ends; a stream that breaks off throws. */
export async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let timer;
  const silence = () => new Promise((_, reject) => (timer = setTimeout(() => reject(new Error("the stream is silent")), MAX_SILENCE)));
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), silence()]).finally(() => clearTimeout(timer));
      if (done) return;
      rest += value;
      let end;
      while ((end = rest.indexOf("\n\n")) >= 0) {
        const event = eventOf(rest.slice(0, end));
        rest = rest.slice(end + 2);
        if (event) yield event;
      }
      if (rest.length > MAX_EVENT) throw new Error("an event is too long");
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function eventOf(block) {
  const event = { id: null, event: "message", data: null };
  const data = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const [field, value] = [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
    if (field === "data") data.push(value);
    else if (field === "id" || field === "event") event[field] = value;
  }
  if (!data.length) return null;
  event.data = JSON.parse(data.join("\n"));
  return event;
}

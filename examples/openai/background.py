"""A long answer in the background: `pip install openai`, start the server, run this.

It is written on whether or not anybody listens. Whoever comes back asks for the events after the last one that
they have seen.
"""

import os

from openai import OpenAI

HOST = os.environ.get("AIMATE", "http://127.0.0.1:3000")

client = OpenAI(base_url=f"{HOST}/v1", api_key=os.environ.get("AIMATE_TOKEN", "local"))
model = os.environ.get("MODEL") or client.models.list().data[0].id

begun = client.responses.create(
    model=model, input="Write an essay about boilers.", background=True, stream=True, max_output_tokens=200
)
id, seen, text = "", -1, ""
with begun as events:
    for event in events:
        seen = event.sequence_number
        if event.type == "response.created":
            id = event.response.id
        if event.type == "response.output_text.delta":
            text += event.delta
            break
print("left after", repr(text))

# Nobody listens now.
print("status:", client.responses.retrieve(id).status)

for event in client.responses.retrieve(id, stream=True, starting_after=seen):
    assert event.sequence_number == seen + 1
    seen = event.sequence_number
    if event.type == "response.output_text.delta":
        text += event.delta
print("events:", seen + 1)

whole = client.responses.retrieve(id)
print("in the end:", whole.status, "with", len(whole.output_text), "characters")
print("all of it seen:", text == whole.output_text)

# Or: begun, forgotten, and cancelled.
other = client.responses.create(model=model, input="Write an essay about taps.", background=True)
print("other:", other.status, "->", client.responses.cancel(other.id).status)

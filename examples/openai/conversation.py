"""OpenAI's Conversations API on aiMate: `pip install openai`, start the server, run this.

A conversation is one of aiMate's own: the page shows it too.
"""

import os

from openai import OpenAI

HOST = os.environ.get("AIMATE", "http://127.0.0.1:3000")

client = OpenAI(base_url=f"{HOST}/v1", api_key=os.environ.get("AIMATE_TOKEN", "local"))
model = os.environ.get("MODEL") or client.models.list().data[0].id

conversation = client.conversations.create(
    metadata={"topic": "heating"},
    items=[{"type": "message", "role": "user", "content": "The boiler is in the cellar."}],
)
client.conversations.items.create(
    conversation.id,
    items=[{"type": "message", "role": "user", "content": "The main tap is beside it."}],
)

# A response in it is shown what it holds, and its question and answer are added.
response = client.responses.create(model=model, conversation=conversation.id, input="Where is the tap?")
print("answer:", response.output_text)

# The list fetches page after page.
items = list(client.conversations.items.list(conversation.id, order="asc", limit=2))
for item in items:
    if item.type == "message":
        print(f"{item.role}:", " ".join(getattr(part, "text", "") for part in item.content))

oldest = items[0]
assert oldest.id
client.conversations.items.delete(oldest.id, conversation_id=conversation.id)
left = client.conversations.items.list(conversation.id)
print("left:", len(left.data), "of", len(items))

changed = client.conversations.update(conversation.id, metadata={"topic": "water"})
print("metadata:", changed.metadata)
print("deleted:", client.conversations.delete(conversation.id).deleted)

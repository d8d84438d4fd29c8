"""Chat through aiMate with OpenAI's own SDK: `pip install openai`, start the server, run this.

The second part uses the stored face, `/api/v1`, where the reply carries the conversation to go on with.
"""
import os

from openai import OpenAI

HOST = os.environ.get("AIMATE", "http://127.0.0.1:3000")
TOKEN = os.environ.get("AIMATE_TOKEN", "local")

client = OpenAI(base_url=f"{HOST}/v1", api_key=TOKEN)
model = os.environ.get("MODEL") or client.models.list().data[0].id
print("model:", model)

stream = client.chat.completions.create(
    model=model,
    messages=[{"role": "user", "content": "Say hello."}],
    stream=True,
    stream_options={"include_usage": True},
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
    if chunk.usage:
        print("\nusage:", chunk.usage.prompt_tokens, "+", chunk.usage.completion_tokens)

stored = OpenAI(base_url=f"{HOST}/api/v1", api_key=TOKEN)
first = stored.chat.completions.create(model=model, messages=[{"role": "user", "content": "My name is Ada."}])
conversation = (first.model_extra or {})["conversation_id"]
second = stored.chat.completions.create(
    model=model,
    messages=[{"role": "user", "content": "What is my name?"}],
    extra_body={"conversation_id": conversation},
)
print("stored in conversation", conversation)
print(second.choices[0].message.content)

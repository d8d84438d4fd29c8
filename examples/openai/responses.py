"""OpenAI's Responses API on aiMate: `pip install openai`, start the server, run this.

Answers are stored in your own database: the next one goes on by the id of the last. A server with accounts wants
an API token in AIMATE_TOKEN.
"""

import json
import os

from openai import OpenAI
from pydantic import BaseModel

HOST = os.environ.get("AIMATE", "http://127.0.0.1:3000")

client = OpenAI(base_url=f"{HOST}/v1", api_key=os.environ.get("AIMATE_TOKEN", "local"))
model = os.environ.get("MODEL") or client.models.list().data[0].id

# An answer, and another one that knows what was said.
first = client.responses.create(model=model, input="My name is Ada.")
print("first:", first.output_text)
second = client.responses.create(model=model, input="What is my name?", previous_response_id=first.id)
print("second:", second.output_text)

# Word by word. The helper puts the response together meanwhile.
with client.responses.stream(model=model, instructions="Be brief.", input="Say hello.") as stream:
    print("stream: ", end="")
    for event in stream:
        if event.type == "response.output_text.delta":
            print(event.delta, end="", flush=True)
    response = stream.get_final_response()
    assert response.usage
    print("\nusage:", response.usage.input_tokens, "+", response.usage.output_tokens)


# An answer in a form of yours.
class Meeting(BaseModel):
    title: str
    people: list[str]
    minutes: int


parsed = client.responses.parse(model=model, input="Ada and Bob talk about boilers.", text_format=Meeting)
print("meeting:", parsed.output_parsed)


# A function of yours: the model asks for it, you call it and say what it returned.
def boiler_pressure(room: str) -> str:
    return f"1.4 bar in {room}"


question = "How much pressure has the boiler in the cellar?"
asked = client.responses.create(
    model=model,
    input=question,
    tools=[
        {
            "type": "function",
            "name": "boiler_pressure",
            "description": "Measures the pressure of the boiler in a room.",
            "parameters": {
                "type": "object",
                "properties": {"room": {"type": "string", "enum": ["the cellar", "the kitchen"]}},
                "required": ["room"],
                "additionalProperties": False,
            },
            "strict": True,
        }
    ],
)
for call in asked.output:
    if call.type == "function_call":
        print("call:", call.name, call.arguments)
        told = client.responses.create(
            model=model,
            previous_response_id=asked.id,
            input=[
                {
                    "type": "function_call_output",
                    "call_id": call.call_id,
                    "output": boiler_pressure(**json.loads(call.arguments)),
                }
            ],
        )
        print("told:", told.output_text)

# All that the second answer was made of, and no more of it.
for item in client.responses.input_items.list(second.id, order="asc"):
    print("item:", item.id.split("_")[0], getattr(item, "role", ""))
client.responses.delete(second.id)

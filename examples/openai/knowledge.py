"""OpenAI's Files and Vector Stores on aiMate: `pip install openai`, start the server, run this.

Files are read, indexed and searched by aiMate; no model is needed but for the answer.
"""

import os

from openai import OpenAI

HOST = os.environ.get("AIMATE", "http://127.0.0.1:3000")

client = OpenAI(base_url=f"{HOST}/v1", api_key=os.environ.get("AIMATE_TOKEN", "local"))
model = os.environ.get("MODEL") or client.models.list().data[0].id

# A file is there for everything; a vector store makes it findable.
manual = client.files.create(
    file=("heating.txt", b"The boiler is serviced in May."), purpose="assistants"
)
store = client.vector_stores.create(name="House")
attached = client.vector_stores.files.create_and_poll(
    manual.id, vector_store_id=store.id, attributes={"floor": 0, "part": "cellar"}
)
print("heating.txt:", attached.status)

# Several at once.
batch = client.vector_stores.file_batches.upload_and_poll(
    store.id,
    files=[
        ("garden.txt", b"The roses are watered in the evening."),
        ("roof.txt", b"The roof is cleaned in autumn, the boiler's chimney too."),
    ],
)
print("batch:", batch.status, batch.file_counts.completed, "of", batch.file_counts.total)

# What fits, best first; a filter asks for attributes.
for hit in client.vector_stores.search(store.id, query="When is the boiler serviced?", max_num_results=2):
    print(f"hit: {hit.filename}: {hit.content[0].text!r}")
only = client.vector_stores.search(
    store.id,
    query="boiler",
    filters={"type": "eq", "key": "part", "value": "cellar"},
)
print("in the cellar:", [hit.filename for hit in only])

# An answer from them, which says where it was found.
answer = client.responses.create(
    model=model,
    input="When is the boiler serviced?",
    tools=[{"type": "file_search", "vector_store_ids": [store.id]}],
    include=["file_search_call.results"],
)
print("answer:", answer.output_text)
for item in answer.output:
    if item.type == "file_search_call":
        print("searched:", item.queries, "found:", sorted({hit.filename or "" for hit in item.results or []}))
    if item.type == "message":
        for part in item.content:
            if part.type == "output_text":
                cited = [note for note in part.annotations if note.type == "file_citation"]
                print("cited:", sorted({note.filename for note in cited}))

for file in client.vector_stores.files.list(store.id):
    client.files.delete(file.id)
print("deleted:", client.vector_stores.delete(store.id).deleted)

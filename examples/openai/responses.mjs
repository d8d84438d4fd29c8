// OpenAI's Responses API on aiMate from Node: `npm install openai`, start the server, run this.
import OpenAI from "openai";

const host = process.env.AIMATE ?? "http://127.0.0.1:3000";
const client = new OpenAI({ baseURL: `${host}/v1`, apiKey: process.env.AIMATE_TOKEN ?? "local" });
const model = process.env.MODEL ?? (await client.models.list()).data[0].id;

const first = await client.responses.create({ model, input: "My name is Ada." });
console.log("first:", first.output_text);

// Word by word. The helper puts the response together meanwhile.
const stream = client.responses.stream({ model, input: "What is my name?", previous_response_id: first.id });
process.stdout.write("stream: ");
stream.on("response.output_text.delta", (event) => process.stdout.write(event.delta));
const second = await stream.finalResponse();
console.log("\nusage:", second.usage.input_tokens, "+", second.usage.output_tokens);
console.log("the same:", (await client.responses.retrieve(second.id)).output_text === second.output_text);

// A function: the model asks for it, you say what it returned.
const asked = client.responses.stream({
  model,
  input: "How much pressure has the boiler in the cellar?",
  tools: [
    {
      type: "function",
      name: "boiler_pressure",
      description: "Measures the pressure of the boiler in a room.",
      parameters: {
        type: "object",
        properties: { room: { type: "string", enum: ["the cellar", "the kitchen"] } },
        required: ["room"],
        additionalProperties: false,
      },
      strict: true,
    },
  ],
});
const { id, output } = await asked.finalResponse();
const call = output.find((item) => item.type === "function_call");
console.log("call:", call.name, call.arguments);
const told = await client.responses.create({
  model,
  previous_response_id: id,
  input: [{ type: "function_call_output", call_id: call.call_id, output: "1.4 bar" }],
});
console.log("told:", told.output_text);

// A response in a conversation, whose items are fetched page after page.
const conversation = await client.conversations.create({});
await client.responses.create({ model, conversation: conversation.id, input: "The tap is in the cellar." });
for await (const item of client.conversations.items.list(conversation.id, { order: "asc", limit: 1 })) {
  console.log(`${item.role}:`, item.content[0].text);
}
await client.conversations.delete(conversation.id);

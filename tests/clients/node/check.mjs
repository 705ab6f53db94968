// Asks a running Greenroom through the unchanged `openai` package what the argument names, and prints what came
// of it as one line of JSON. GREENROOM_URL and GREENROOM_KEY say where and as whom.

import OpenAI from "openai";

const baseURL = `${process.env.GREENROOM_URL}/v1`;
const client = new OpenAI({ baseURL, apiKey: process.env.GREENROOM_KEY, maxRetries: 0 });
const messages = [{ role: "user", content: "Say good morning." }];

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return {
      kind: error.constructor.name, status: error.status ?? null, code: error.code ?? null,
      param: error.param ?? null, requestID: error.requestID ?? null,
    };
  }
  return null;
}

const asks = {
  async whole() {
    const { data, response, request_id } = await client.chat.completions
      .create({ model: "default", messages })
      .withResponse();
    return {
      content: data.choices[0].message.content, total: data.usage.total_tokens, requestID: request_id,
      model: response.headers.get("x-greenroom-model"),
    };
  },

  async stream() {
    const stream = await client.chat.completions.create({
      model: "default", messages, stream: true, stream_options: { include_usage: true },
    });
    let content = "";
    let finish = null;
    let usage = null;
    for await (const chunk of stream) {
      content += chunk.choices[0]?.delta?.content ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    return { content, finish, total: usage?.total_tokens ?? null };
  },

  async helper() {
    const stream = client.chat.completions.stream({ model: "default", messages });
    const final = await stream.finalChatCompletion();
    return { content: final.choices[0].message.content };
  },

  async everything() {
    const answer = await client.chat.completions.create({
      model: "default",
      messages: [{
        role: "user",
        content: [
          { type: "text", text: "What is it?" },
          { type: "image_url", image_url: { url: "data:image/png;base64,AAAA", detail: "low" } },
        ],
      }],
      tools: [{ type: "function", function: { name: "f", parameters: { type: "object" }, strict: true } }],
      tool_choice: "auto",
      response_format: {
        type: "json_schema", json_schema: { name: "s", schema: { type: "object" }, strict: true },
      },
    });
    return { finish: answer.choices[0].finish_reason, calls: answer.choices[0].message.tool_calls };
  },

  async errors() {
    const stranger = new OpenAI({ baseURL, apiKey: "gr-nobody", maxRetries: 0 });
    return {
      unknown: await failure(client.chat.completions.create({ model: "nobody/knows", messages })),
      refused: await failure(stranger.chat.completions.create({ model: "default", messages })),
      wrong: await failure(client.chat.completions.create({ model: "default", messages, n: 0 })),
    };
  },

  async broken() {
    const stream = await client.chat.completions.create({ model: "default", messages, stream: true });
    let content = "";
    const error = await failure((async () => {
      for await (const chunk of stream) content += chunk.choices[0]?.delta?.content ?? "";
    })());
    return { content, error };
  },

  async retries() {
    const patient = client.withOptions({ maxRetries: 2 });
    const answer = await patient.chat.completions.create({ model: "default", messages });
    return { content: answer.choices[0].message.content };
  },

  async completions() {
    const whole = await client.completions.create({ model: "default", prompt: ["One", "Two"] });
    const stream = await client.completions.create({ model: "default", prompt: "One", stream: true });
    let streamed = "";
    for await (const piece of stream) streamed += piece.choices[0]?.text ?? "";
    return { texts: whole.choices.map((one) => one.text), total: whole.usage.total_tokens, streamed };
  },

  async moderation() {
    const { results } = await client.moderations.create({ input: ["Good morning.", "Bom dia."] });
    return results.map((one) => [one.flagged, Object.keys(one.categories).length]);
  },

  async models() {
    const names = [];
    for await (const model of client.models.list()) names.push(model.id);
    const one = await client.models.retrieve("up/scripted");
    return { names, one: one.id, missing: await failure(client.models.retrieve("nobody/knows")) };
  },
};

console.log(JSON.stringify(await asks[process.argv[2]]()));

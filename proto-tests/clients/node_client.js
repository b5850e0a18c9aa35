// Drives node-postgres: reads {"dsn", "steps"} as JSON on stdin, prints one answer per step. See src/clients.rs.
"use strict";
const path = require("path");
const { Client } = require(path.join(process.env.PGVEIL_CLIENTS, "node_modules", "pg"));

async function step(client, s) {
  const answers = [];
  for (let i = 0; i < (s.times || 1); i++) {
    const query = { text: s.sql, values: s.args || undefined, rowMode: "array", types: { getTypeParser: () => (v) => v } };
    if (s.prepare) query.name = s.name || "tested";
    const got = await client.query(query);
    const last = Array.isArray(got) ? got[got.length - 1] : got;
    answers.push({ rows: last.rows, names: last.fields.map((f) => f.name), tag: last.command });
  }
  const same = answers.every((a) => JSON.stringify(a) === JSON.stringify(answers[0]));
  return { ...answers[answers.length - 1], same };
}

async function main() {
  let text = "";
  for await (const chunk of process.stdin) text += chunk;
  const task = JSON.parse(text);
  const out = [];
  const client = new Client({ connectionString: task.dsn, connectionTimeoutMillis: 20000 });
  const notices = [];
  client.on("notice", (n) => notices.push(n.message));
  client.on("error", () => {});
  try {
    await client.connect();
  } catch (e) {
    process.stdout.write(JSON.stringify([{ refused: String(e.message) }]));
    return;
  }
  for (const s of task.steps) {
    notices.length = 0;
    let answer;
    try {
      answer = await step(client, s);
    } catch (e) {
      answer = e.severity ? { error: { code: e.code, message: e.message, detail: e.detail || null } } : { broken: String(e) };
    }
    out.push({ ...answer, notices: [...notices] });
  }
  await client.end();
  process.stdout.write(JSON.stringify(out));
}

main();

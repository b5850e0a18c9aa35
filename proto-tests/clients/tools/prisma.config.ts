import { appendFileSync } from "node:fs";
import { defineConfig } from "prisma/config";
import { PrismaPg } from "@prisma/adapter-pg";
import pg from "pg";

// Prisma's engine comes as WebAssembly, so that nothing but npm's registry is needed. That build stops at values of the type `char` (18),
// which the catalogs are full of: every answer of the database is written down, and rows with such values are kept from the engine, which
// goes on to its next question.
class Pool extends pg.Pool {
  async query(...asked) {
    const answer = await super.query(...asked);
    const fields = answer.fields ?? [];
    appendFileSync(process.env.ANSWERS, JSON.stringify([fields.map((f) => [f.name, f.dataTypeID]), answer.rows]) + "\n");
    if (fields.some((f) => f.dataTypeID === 18)) answer.rows = [];
    for (const field of fields) if (field.dataTypeID === 18) field.dataTypeID = 25;
    return answer;
  }
}

export default defineConfig({
  experimental: { adapter: true },
  engine: "js",
  schema: process.env.SCHEMA,
  adapter: async () => new PrismaPg(new Pool({ connectionString: process.env.DSN })),
});

"""Drives asyncpg (binary results, always prepared): reads {"dsn", "steps"} as JSON on stdin. See src/clients.rs."""
import asyncio, io, json, sys
import asyncpg


def show(v):
    return "\\x" + v.hex() if isinstance(v, (bytes, memoryview)) else str(v)


async def step(conn, s):
    if s["op"] == "copy_out":
        data = io.BytesIO()
        query = s["sql"]
        inner = query[query.index("(") + 1:query.rindex(")")]
        await conn.copy_from_query(inner, output=data)
        return {"data": data.getvalue().decode("utf-8", "replace")}
    if s["op"] == "copy_in":
        schema, table = s["table"].split(".")
        tag = await conn.copy_to_table(table, schema_name=schema, source=io.BytesIO(s["data"].encode()))
        return {"tag": tag}
    statement = await conn.prepare(s["sql"])
    answers = []
    for _ in range(s.get("times", 1)):
        got = await statement.fetch(*(s.get("args") or []))
        answers.append([[None if v is None else show(v) for v in r.values()] for r in got])
    return {"rows": answers[-1], "names": [a.name for a in statement.get_attributes()], "tag": statement.get_statusmsg(),
            "same": all(a == answers[0] for a in answers)}


async def main():
    task, out, notices = json.load(sys.stdin), [], []
    try:
        conn = await asyncpg.connect(task["dsn"], timeout=20)
    except (asyncpg.PostgresError, OSError) as e:
        json.dump([{"refused": str(e)}], sys.stdout)
        return
    conn.add_log_listener(lambda _, m: notices.append(m.message))
    for s in task["steps"]:
        del notices[:]
        try:
            answer = await step(conn, s)
        except asyncpg.PostgresError as e:
            answer = {"error": {"code": e.sqlstate, "message": e.message, "detail": getattr(e, "detail", None)}}
        except Exception as e:  # a decoder that refuses a value is what the tests look for
            answer = {"broken": "%s: %s" % (type(e).__name__, e)}
        out.append(dict(answer, notices=list(notices)))
    await conn.close(timeout=10)
    json.dump(out, sys.stdout)


asyncio.run(main())

"""Drives psycopg 3: reads {"dsn", "steps"} as JSON on stdin, prints one answer per step. See src/clients.rs."""
import json, sys
import psycopg


def rows(cursor):
    if cursor.description is None:
        return {"tag": cursor.statusmessage}
    got = [[None if v is None else show(v) for v in row] for row in cursor.fetchall()]
    return {"rows": got, "names": [c.name for c in cursor.description], "tag": cursor.statusmessage}


def show(v):
    return "\\x" + v.hex() if isinstance(v, (bytes, memoryview)) else str(v)


def step(conn, s):
    binary = bool(s.get("binary"))
    if s["op"] == "copy_out":
        with conn.cursor().copy(s["sql"]) as copy:
            return {"data": b"".join(bytes(b) for b in copy).decode("utf-8", "replace")}
    if s["op"] == "copy_in":
        with conn.cursor() as cursor:
            with cursor.copy(s["sql"]) as copy:
                copy.write(s["data"])
            return {"tag": cursor.statusmessage}
    answers = []
    for _ in range(s.get("times", 1)):
        with conn.cursor(binary=binary) as cursor:
            cursor.execute(s["sql"], s.get("args") or None, prepare=s.get("prepare"))
            answers.append(rows(cursor))
    return dict(answers[-1], same=all(a == answers[0] for a in answers))


def main():
    task = json.load(sys.stdin)
    out = []
    try:
        with psycopg.connect(task["dsn"], autocommit=True, connect_timeout=20) as conn:
            notices = []
            conn.add_notice_handler(lambda d: notices.append(d.message_primary))
            for s in task["steps"]:
                del notices[:]
                try:
                    answer = step(conn, s)
                except psycopg.Error as e:
                    answer = {"error": {"code": e.sqlstate, "message": e.diag.message_primary or str(e), "detail": e.diag.message_detail}}
                except Exception as e:  # a decoder that refuses a value is what the tests look for
                    answer = {"broken": "%s: %s" % (type(e).__name__, e)}
                out.append(dict(answer, notices=list(notices)))
    except psycopg.OperationalError as e:
        out.append({"refused": str(e)})
    json.dump(out, sys.stdout)


main()

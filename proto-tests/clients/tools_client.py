#!/usr/bin/env python3
"""One tool, run on PostgreSQL itself and through pgveil, and compared.

    tools_client.py TOOL DIRECT MASKED       prints {"tool", "state": "same" | "differs" | "absent", "steps", "notes": [..]}

What a step shows must be the same both ways; where rows of patients are asked for, no raw value may be in the answer.
"""
import asyncio, difflib, io, json, os, re, shutil, subprocess, sys, tempfile, urllib.parse

HOME = os.environ.get("PGVEIL_TOOLS") or os.path.join(os.environ.get("PGVEIL_CACHE", os.path.expanduser("~/.cache/pgveil")), "tools")
PG_BIN = os.environ.get("PG_BIN", "")
# no English word has four letters of these in a row: the clinic's names are made of them
RAW = re.compile(r"[qxzjkvwy]{5,}|9\d\d-\d\d-\d{4}|\+1-9\d\d-555", re.I)
WAIT = 60


class Absent(Exception):
    """Why the tool is not here."""


def program(name):
    path = os.path.join(PG_BIN, name) if PG_BIN else shutil.which(name)
    if not path or not os.access(path, os.X_OK):
        raise Absent("no %s" % name)
    return path


def ran(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **more)
    return "exit %d\n%s%s" % (done.returncode, done.stdout, done.stderr)


META = r"""\d
\d clinical.patients
\d+ clinical.patients
\d billing.claims
\d+ clinical.v_patient
\d+ clinical.encounters
\d+ research.cohort
\dt *.*
\dt+ clinical.*
\df
\df+ clinical.*
\l
\l+
\dn+
\du+
\dv+ *.*
\dm+ *.*
\di+ clinical.*
\ds+ clinical.*
\dT+ clinical.*
\dD+ clinical.*
\dC+
\dx
\dp clinical.*
\ddp
\dO
\db+
\des+
\dF
\do clinical.*
\dS pg_class
\sf clinical.age_years
\sv clinical.v_patient
\dRp
\dy
\dP+ clinical.*
\dAc
\dL
\da clinical.*
\dE
\dX
\drds
\dd
\z billing.*
\conninfo
\encoding
\echo :DBNAME""".split("\n")


def psql(dsn):
    steps = {}
    for command in META:
        if command.startswith(("\\conninfo", "\\echo")):
            continue
        steps[command] = ran([program("psql"), "-X", "-d", dsn, "-c", command])
    return steps


def completion(dsn):
    try:
        import pexpect
    except ImportError:
        raise Absent("no pexpect") from None
    steps = {}
    for typed in ("select * from clinical.", "select * from clinical.pat", "\\d billing.", "\\df clinical.", "alter table clinical.patients drop column ",
                  "alter table clinical.patients rename column b", "set work_", "select * from ", "update clinical.codes set ", "drop schema ",
                  "grant select on ", "insert into research.", "create index on clinical.patients (", "\\dn ", "comment on column clinical.codes."):
        child = pexpect.spawn(program("psql"), ["-X", "-d", dsn, "-v", "PROMPT1=> ", "-P", "pager=off"], env=dict(os.environ, TERM="dumb", INPUTRC="/dev/null"),
                              encoding="utf-8", timeout=15, dimensions=(200, 200))
        child.expect("> ")
        child.send(typed + "\t\t")
        try:
            child.expect(pexpect.TIMEOUT, timeout=1.5)
        except pexpect.EOF:
            pass
        if "possibilities" in (child.before or ""):
            child.send("y")
            child.expect(pexpect.TIMEOUT, timeout=1.5)
        steps[typed] = child.before or ""
        child.close(force=True)
    return steps


def pg_dump(dsn):
    clean = lambda text: re.sub(r"(?m)^\\(un)?restrict .*$", "", text)
    return {"schema": clean(ran([program("pg_dump"), "--schema-only", "-d", dsn])),
            "clinical": clean(ran([program("pg_dump"), "-s", "-n", "clinical", "--no-owner", "-d", dsn])),
            "one table": clean(ran([program("pg_dump"), "-s", "-t", "clinical.patients", "-d", dsn]))}


def sqlalchemy(dsn):
    try:
        import sqlalchemy as sa
    except ImportError:
        raise Absent("no SQLAlchemy") from None
    steps = {}
    for driver in ("psycopg", "psycopg2"):
        engine = sa.create_engine(dsn.replace("postgresql://", "postgresql+%s://" % driver, 1))
        look = sa.inspect(engine)
        for schema in ("clinical", "billing", "research", "audit"):
            for ask in ("get_table_names", "get_view_names", "get_materialized_view_names", "get_sequence_names", "get_enums", "get_multi_columns",
                        "get_multi_pk_constraint", "get_multi_foreign_keys", "get_multi_indexes", "get_multi_unique_constraints",
                        "get_multi_check_constraints", "get_multi_table_comment"):
                steps["%s %s %s" % (driver, ask, schema)] = told(lambda: getattr(look, ask)(schema=schema))
        data = sa.MetaData()
        steps[driver + " reflect"] = told(lambda: (data.reflect(engine, schema="clinical", views=True), sorted(data.tables))[1])
        table = data.tables.get("clinical.patients")
        with engine.connect() as c:
            steps[driver + " unmasked"] = told(lambda: c.execute(sa.select(table.c.id, table.c.state, table.c.sex).where(table.c.id < 9).order_by(table.c.id)).all())
            steps[driver + " rows of patients"] = told(lambda: c.execute(sa.select(table.c.last_name, table.c.ssn, table.c.email).where(table.c.id < 9)).all())
    return steps


def told(ask):
    try:
        answer = ask()
        return repr(sorted(answer.items(), key=str)) if isinstance(answer, dict) else repr(answer)
    except Exception as fault:
        return "fault: %s" % str(fault)[:400]


def django(dsn):
    try:
        import django as found
    except ImportError:
        raise Absent("no Django") from None
    u = urllib.parse.urlsplit(dsn)
    steps = {}
    for schema in ("clinical", "billing", "research", "audit"):
        code = ("import sys, django\nfrom django.conf import settings\nsettings.configure(DATABASES={'default': dict(ENGINE='django.db.backends.postgresql', "
                "NAME=%r, USER=%r, PASSWORD=%r, HOST=%r, PORT=%r, OPTIONS={'options': '-c search_path=%s'})})\ndjango.setup()\n"
                "from django.core.management import call_command\ncall_command('inspectdb', include_views=True, include_partitions=True)\n"
                % (u.path[1:], u.username, u.password, u.hostname, u.port, schema))
        steps["inspectdb " + schema] = ran([sys.executable, "-c", code])
    assert found
    return steps


def prisma(dsn):
    tool, config = (os.path.join(HOME, name) for name in ("node_modules/.bin/prisma", "prisma.config.ts"))
    if not os.access(tool, os.X_OK):
        raise Absent("no prisma")
    with tempfile.TemporaryDirectory() as scratch:
        schema, answers = scratch + "/schema.prisma", scratch + "/answers"
        with open(schema, "w") as f:
            f.write('datasource db {\n  provider = "postgresql"\n  url = env("DSN")\n  schemas = ["clinical", "billing", "research"]\n}\n'
                    'generator client {\n  provider = "prisma-client-js"\n  previewFeatures = ["views"]\n}\n')
        # The library of the query engine is only asked for, not used.
        env = dict(os.environ, DSN=dsn, SCHEMA=schema, ANSWERS=answers, PRISMA_QUERY_ENGINE_LIBRARY="/bin/true", CHECKPOINT_DISABLE="1")
        said = ran([tool, "db", "pull", "--print", "--config", config], env=env)
        if not said.startswith("exit 0") or "model patients" not in said:
            raise RuntimeError("prisma does not pull: " + said[-600:])
        with open(answers) as f:
            return {"db pull": said, **{"answer %d" % number: answer for number, answer in enumerate(f, 1)}}


SERVERS = {
    "mcp-server-postgres": dict(command=["{node}/mcp-server-postgres", "{dsn}"], sql=("query", "sql", {}), extra=[]),
    "mcp-dbhub": dict(command=["{node}/dbhub", "--transport", "stdio", "--dsn", "{dsn}"], sql=("execute_sql", "sql", {}),
                      extra=[("search_objects", {"object_type": "schema", "pattern": "%"}),
                             ("search_objects", {"object_type": "table", "schema": "clinical", "pattern": "%", "detail_level": "full"}),
                             ("search_objects", {"object_type": "column", "schema": "clinical", "table": "patients", "pattern": "%"}),
                             ("search_objects", {"object_type": "index", "schema": "clinical", "table": "patients", "pattern": "%"}),
                             ("search_objects", {"object_type": "procedure", "schema": "clinical", "pattern": "%"})]),
    "mcp-henkey": dict(command=["{node}/postgres-mcp", "--connection-string", "{dsn}"], sql=("pg_execute_query", "query", {"operation": "select"}),
                       extra=[("pg_manage_schema", {"operation": "get_info"}), ("pg_manage_schema", {"operation": "get_enums"}),
                              ("pg_analyze_database", {"analysisType": "configuration"}), ("pg_manage_indexes", {"operation": "get"}),
                              ("pg_manage_constraints", {"operation": "get"}), ("pg_manage_functions", {"operation": "get"}),
                              ("pg_manage_triggers", {"operation": "get"}), ("pg_manage_users", {"operation": "list"})]),
    "mcp-postgres-mcp": dict(command=["{venv312}/bin/postgres-mcp", "--access-mode=unrestricted"], env={"DATABASE_URI": "{dsn}"}, sql=("execute_sql", "sql", {}),
                             extra=[("list_schemas", {}), ("list_objects", {"schema_name": "clinical"}),
                                    ("get_object_details", {"schema_name": "clinical", "object_name": "patients"}),
                                    ("explain_query", {"sql": "select id from clinical.patients where state = 'CA'"}),
                                    ("analyze_db_health", {"health_type": "all"}), ("get_top_queries", {})]),
    "mcp-postgres-mcp-restricted": dict(command=["{venv312}/bin/postgres-mcp", "--access-mode=restricted", "{dsn}"], sql=("execute_sql", "sql", {}),
                                        extra=[("list_schemas", {}), ("list_objects", {"schema_name": "billing"})]),
}
ASKED = [("unmasked rows", "select id, state, sex, tags from clinical.patients order by id limit 5"),
         ("aggregate", "select state, count(*) as n, round(avg(risk_score)::numeric, 3) as r from clinical.patients group by state order by state"),
         ("join", "select p.state, e.kind, count(*) from clinical.patients p join clinical.encounters e on e.patient_id = p.id group by 1, 2 order by 1, 2"),
         ("rows of patients", "select * from clinical.patients order by id limit 3"),
         ("rows of patients, notes", "select id, body from clinical.clinical_notes order by id limit 4"),
         ("catalog", "select table_name from information_schema.tables where table_schema = 'clinical' order by 1"),
         ("fault", "select no_such_column from clinical.patients"),
         ("hint", "select no_such_function(1)"),
         ("syntax", "selec 1"),
         ("many", "select id, kind, cost from clinical.encounters order by id limit 1000")]


def mcp(name, dsn):
    try:
        from mcp import ClientSession, StdioServerParameters
        from mcp.client.stdio import stdio_client
    except ImportError:
        raise Absent("no Python package mcp") from None
    spec = SERVERS[name]
    fill = lambda s: s.replace("{dsn}", dsn).replace("{node}", HOME + "/node_modules/.bin").replace("{venv312}", HOME + "/venv312")
    command = [fill(c) for c in spec["command"]]
    if not os.access(command[0], os.X_OK):
        raise Absent("no %s" % command[0])
    env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **{k: fill(v) for k, v in spec.get("env", {}).items()}}
    steps = {}

    async def step(what, coro):
        try:
            r = await asyncio.wait_for(coro, WAIT)
            parts = getattr(r, "content", None) or getattr(r, "contents", None) or []
            flag = bool(getattr(r, "is_error", getattr(r, "isError", False)))
            steps[what] = ("error\n" if flag else "") + "\n".join(getattr(p, "text", "") for p in parts)
        except Exception as fault:
            steps[what] = "error\n%s: %s" % (type(fault).__name__, str(fault)[:400])

    async def all_of_it():
        with open(os.devnull, "w") as quiet:
            async with stdio_client(StdioServerParameters(command=command[0], args=command[1:], env=env), errlog=quiet) as (r, w):
                async with ClientSession(r, w) as s:
                    await asyncio.wait_for(s.initialize(), WAIT)
                    steps["tools"] = repr(sorted(t.name for t in (await s.list_tools()).tools))
                    try:
                        found = (await asyncio.wait_for(s.list_resources(), WAIT)).resources
                        steps["resources"] = repr(sorted(str(x.name) for x in found))
                        for x in found[:8]:
                            await step("resource %s" % x.name, s.read_resource(x.uri))
                    except Exception:
                        pass
                    for tool, arguments in spec["extra"]:
                        await step("%s %s" % (tool, json.dumps(arguments)), s.call_tool(tool, arguments))
                    tool, key, more = spec["sql"]
                    for what, sql in ASKED:
                        await step(what, s.call_tool(tool, {key: sql, **more}))
    try:
        asyncio.run(all_of_it())
    except BaseException as fault:
        steps["(session)"] = "error\n%s: %s" % (type(fault).__name__, str(fault)[:300])
    return steps


TOOLS = {"psql": psql, "completion": completion, "pg_dump": pg_dump, "sqlalchemy": sqlalchemy, "django": django, "prisma": prisma,
         **{name: (lambda dsn, name=name: mcp(name, dsn)) for name in SERVERS}}


def plain(text, dsn):
    """Without what must differ: who is connected and where to, sizes that grow, and moments."""
    u = urllib.parse.urlsplit(dsn)
    text = re.sub(r"\b(%s|%s)\b" % (re.escape(u.username), u.port), "_", text.replace(dsn, "_")) if u.username != "clinic_app" else text
    text = re.sub(r"\b(clinic_app|%s)\b" % u.port, "_", text.replace(dsn, "_"))
    text = re.sub(r"\b\d+(\.\d+)? ?(bytes|kB|MB|GB)\b", "size", text)
    return re.sub(r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*Z?", "moment", text)


def main():
    tool, direct, masked = sys.argv[1:4]
    notes = []
    try:
        a, b = TOOLS[tool](direct), TOOLS[tool](masked)
    except Absent as why:
        print(json.dumps({"tool": tool, "state": "absent", "steps": 0, "notes": [str(why)]}))
        return
    for what in a:
        x, y = plain(a[what], direct), plain(b.get(what, "(nothing)"), masked)
        if RAW.search(y) and not RAW.search(what):
            notes.append("%s: a raw value: %s" % (what, RAW.search(y).group()))
        elif what.split(" ", 1)[-1].startswith("rows of patients") or what.startswith("rows of patients"):
            if y.startswith(("error", "fault")):
                notes.append("%s: %s" % (what, y[:300]))
        elif x != y:
            change = [l for l in difflib.unified_diff(x.splitlines(), y.splitlines(), "direct", "masked", lineterm="", n=0)][2:8]
            notes.append("%s: %s" % (what, " / ".join(change)[:500]))
    print(json.dumps({"tool": tool, "state": "differs" if notes else "same", "steps": len(a), "notes": notes}))


main()

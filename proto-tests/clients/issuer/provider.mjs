// An OpenID provider on loopback for the tests: people, machines, key rotation, and tokens that are wrong in one way.
// usage: node provider.mjs   reads {"port", "ttl", "people", "machines", "audience"} as one line of JSON on stdin, prints `ready ISSUER`,
// ends when stdin closes. POST /test/... with a JSON body steers it: see the end.
import crypto from 'node:crypto';
import http from 'node:http';
import readline from 'node:readline';
import { createRequire } from 'node:module';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';

// who started this reads one line: the provider's own remarks go nowhere
console.log = console.info = () => {};

const from = createRequire(path.join(process.env.PGVEIL_CLIENTS, 'node_modules', 'x.js'));
const load = (name) => import(pathToFileURL(from.resolve(name)).href);
const { default: Provider } = await load('oidc-provider');
const jose = await load('jose');

const lines = readline.createInterface({ input: process.stdin });
const conf = JSON.parse(await new Promise((resolve) => { lines.once('line', resolve); }));
lines.once('close', () => process.exit(0));
const { port, ttl, audience } = conf;
const ISSUER = `http://127.0.0.1:${port}`;
const people = new Map(conf.people.map((p) => [p.sub, p]));
const machines = new Map(conf.machines.map((m) => [m.id, m]));

async function keys() {
  const stamp = crypto.randomBytes(4).toString('hex');
  const one = async (alg) => {
    const { privateKey } = await jose.generateKeyPair(alg, { extractable: true });
    return { ...(await jose.exportJWK(privateKey)), alg, use: 'sig', kid: `${alg}-${stamp}` };
  };
  return Promise.all(['RS256', 'ES256', 'PS256', 'EdDSA'].map(one));
}
// the newest signs; older ones stay published until they are retired
let sets = [await keys()];

// kept outside of the provider, which is made anew when keys change
const rows = new Map();
class Store {
  constructor(model) { this.model = model; }
  at(id) { return `${this.model}:${id}`; }
  async upsert(id, payload) { rows.set(this.at(id), payload); }
  async find(id) { return rows.get(this.at(id)); }
  async consume(id) { rows.get(this.at(id)).consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { rows.delete(this.at(id)); }
  async revokeByGrantId(id) { for (const [key, row] of rows) if (row.grantId === id) rows.delete(key); }
  async findByUid(uid) { return [...rows].find(([key, row]) => key.startsWith(`${this.model}:`) && row.uid === uid)?.[1]; }
  async findByUserCode(code) { return [...rows].find(([key, row]) => key.startsWith(`${this.model}:`) && row.userCode === code)?.[1]; }
}

const profile = (person) => ({ preferred_username: person.name, groups: person.groups });
async function grant(provider, id, clientId, accountId) {
  const given = (id && await provider.Grant.find(id)) || new provider.Grant({ clientId, accountId });
  given.addOIDCScope('openid profile groups offline_access db');
  given.addResourceScope(audience, 'db');
  await given.save();
  return given;
}
function build() {
  const machine = (m) => ({
    client_id: m.id, client_secret: m.secret, grant_types: ['client_credentials'], response_types: [], redirect_uris: [],
    token_endpoint_auth_method: 'client_secret_basic',
  });
  const cli = {
    client_id: 'pgveil-cli', application_type: 'native', token_endpoint_auth_method: 'none', response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
    redirect_uris: ['http://127.0.0.1/callback'],
  };
  return new Provider(ISSUER, {
    adapter: Store,
    clients: [cli, ...conf.machines.map(machine)],
    jwks: { keys: sets.flat() },
    cookies: { keys: ['only-a-test'] },
    scopes: ['openid', 'offline_access', 'db'],
    claims: { openid: ['sub'], profile: ['preferred_username'], groups: ['groups'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    ttl: { AccessToken: ttl, ClientCredentials: ttl, IdToken: ttl, DeviceCode: 120, RefreshToken: 3600, Session: 3600, Grant: 3600, Interaction: 600 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, indicator) => ({
          scope: 'db', audience: indicator, accessTokenTTL: ttl, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token'),
    extraTokenClaims: (_, token) => (token.accountId ? profile(people.get(token.accountId)) : { groups: machines.get(token.clientId).groups }),
    interactions: { url: (_, interaction) => `/login/${interaction.uid}` },
    findAccount: (_, sub) => (people.has(sub) ? { accountId: sub, claims: () => ({ sub, ...profile(people.get(sub)) }) } : undefined),
    // consent is not under test
    loadExistingGrant: (ctx) => grant(ctx.oidc.provider, ctx.oidc.result?.consent?.grantId, ctx.oidc.client.clientId, ctx.oidc.session.accountId),
  });
}
let provider = build();

async function body(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}
function answer(response, status, what, type = 'application/json') {
  response.writeHead(status, { 'content-type': type });
  response.end(typeof what === 'string' ? what : JSON.stringify(what));
}
async function login(request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (prompt.name === 'consent') {
    const given = await grant(provider, grantId, params.client_id, session.accountId);
    return provider.interactionFinished(request, response, { consent: { grantId: given.jti } }, { mergeWithLastSubmission: true });
  }
  const form = '<!doctype html><title>login</title><form method="post"><input name="name"><input name="password" type="password"><button>in</button></form>';
  if (request.method !== 'POST') return answer(response, 200, form, 'text/html');
  const filled = new URLSearchParams(await body(request));
  const person = [...people.values()].find((p) => p.name === filled.get('name') && p.password === filled.get('password'));
  if (!person) return answer(response, 401, form, 'text/html');
  return provider.interactionFinished(request, response, { login: { accountId: person.sub } });
}

// a token with these claims and this header, signed as `sign` says
async function mint({ claims = {}, drop = [], header = {}, sign = 'well', alg = 'RS256' }) {
  const now = Math.floor(Date.now() / 1000);
  const payload = { iss: ISSUER, aud: audience, sub: 'u-carla', iat: now, exp: now + ttl, client_id: 'pgveil-cli', ...claims };
  for (const name of drop) delete payload[name];
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const [current] = sets[0].filter((key) => key.alg === alg);
  const head = { alg, typ: 'at+jwt', kid: current.kid, ...header };
  if (sign === 'none') return `${part({ ...head, alg: 'none' })}.${part(payload)}.`;
  const { d, p, q, dp, dq, qi, ...open } = current;
  if (sign === 'public-key-as-secret') {
    const input = `${part({ ...head, alg: 'HS256' })}.${part(payload)}`;
    const pem = crypto.createPublicKey({ key: open, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    return `${input}.${crypto.createHmac('sha256', pem).update(input).digest('base64url')}`;
  }
  const stranger = sign === 'stranger' || sign === 'embedded-key' ? (await keys()).find((key) => key.alg === alg) : null;
  if (sign === 'embedded-key') {
    const { d: d2, p: p2, q: q2, dp: dp2, dq: dq2, qi: qi2, ...other } = stranger;
    head.jwk = other;
  }
  const key = await jose.importJWK(stranger ?? current, alg);
  const token = await new jose.CompactSign(Buffer.from(JSON.stringify(payload))).setProtectedHeader(head).sign(key, { crit: { example: true } });
  if (sign !== 'tampered') return token;
  const [h, , s] = token.split('.');
  return `${h}.${part({ ...payload, groups: ['compliance'] })}.${s}`;
}

let down = false;
const asked = {};
async function steer(what, told) {
  switch (what) {
    case 'mint': return { token: await mint(told) };
    case 'rotate': sets = [await keys(), ...sets]; provider = build(); return {};
    case 'retire': sets = sets.slice(0, 1); provider = build(); return {};
    case 'down': down = told.down; return {};
    case 'asked': return asked;
    case 'person': Object.assign(people.get(told.sub), told); return {};
    default: throw new Error(`nothing is steered by ${what}`);
  }
}

http.createServer(async (request, response) => {
  try {
    const { pathname } = new URL(request.url, ISSUER);
    if (pathname.startsWith('/test/')) {
      return answer(response, 200, await steer(pathname.slice('/test/'.length), JSON.parse((await body(request)) || '{}')));
    }
    asked[pathname] = (asked[pathname] ?? 0) + 1;
    // told to hang it never answers, told to flood it never ends
    if (down === 'hang') return undefined;
    if (down === 'flood') {
      response.writeHead(200, { 'content-type': 'application/json' });
      return Readable.from((function* flood() { for (;;) yield Buffer.alloc(65536, 0x20); })()).on('error', () => {}).pipe(response);
    }
    if (down) return answer(response, 503, { error: 'down' });
    if (pathname.startsWith('/login/')) return await login(request, response);
    return provider.callback()(request, response);
  } catch (error) {
    if (!response.headersSent) answer(response, 500, { error: error.message });
    return undefined;
  }
}).listen(port, '127.0.0.1', () => process.stdout.write(`ready ${ISSUER}\n`));

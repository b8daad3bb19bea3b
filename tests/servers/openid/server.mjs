// A certified OpenID provider (npm oidc-provider) as a server of tests.
//
// usage: node server.mjs ISSUER PORT
//
// Its own pages log people in: any name with any password, consent, and a link that cancels.
// What tests change goes through POST /-/WHAT with JSON: clients, people, rotate.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

import Provider from 'oidc-provider';

const [issuer, port] = process.argv.slice(2);
const stored = new Map();
const people = new Map();
const cookieKeys = [randomBytes(32).toString('hex')];
let keys = [newKey()];
let provider = newProvider();

function newKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const name = randomBytes(6).toString('hex');
  return { ...privateKey.export({ format: 'jwk' }), kid: name, use: 'sig', alg: 'RS256' };
}

// Everything it has to remember, outside of it: so that one with other keys can go on from there.
function adapter(model) {
  const key = (id) => `${model}:${id}`;
  const found = (match) => [...stored].find(([name, value]) => name.startsWith(`${model}:`) && match(value))?.[1];
  return {
    async upsert(id, payload) { stored.set(key(id), payload); },
    async find(id) { return stored.get(key(id)); },
    async findByUid(uid) { return found((value) => value.uid === uid); },
    async findByUserCode(code) { return found((value) => value.userCode === code); },
    async consume(id) { stored.get(key(id)).consumed = Math.floor(Date.now() / 1000); },
    async destroy(id) { stored.delete(key(id)); },
    async revokeByGrantId(grant) {
      for (const [name, value] of stored) if (value.grantId === grant) stored.delete(name);
    },
  };
}

function newProvider() {
  const made = new Provider(issuer, {
    adapter,
    jwks: { keys },
    cookies: { keys: cookieKeys },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    pkce: { required: () => true },
    responseTypes: ['code'],
    findAccount: (ctx, id) => ({
      accountId: id,
      claims: () => ({
        sub: id, name: id, email: `${id}@people.test`, email_verified: true, ...people.get(id),
      }),
    }),
  });
  made.on('server_error', (ctx, error) => console.error(error));
  return made;
}

const control = {
  clients({ client_id: id, ...more }) { stored.set(`Client:${id}`, { client_id: id, ...more }); },
  people({ sub, ...claims }) { people.set(sub, { sub, ...claims }); },
  rotate() {
    keys = [newKey()];
    provider = newProvider();
  },
};

const server = createServer(async (request, response) => {
  if (!request.url.startsWith('/-/')) return provider.callback()(request, response);
  let body = '';
  for await (const part of request) body += part;
  control[request.url.slice(3)](JSON.parse(body || '{}'));
  return response.writeHead(204).end();
});
server.listen(Number(port), '127.0.0.1');

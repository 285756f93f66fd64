// An OpenID provider on loopback for TestOIDCProvider: npm's oidc-provider from
// the folder of modules that is the first argument, with the redirect URIs that
// are the others. It prints its issuer. Whoever writes "alice" is alice; a second
// factor is any text.
import http from 'node:http';

const [modules, ...redirects] = process.argv.slice(2);
const { default: Provider } = await import(`${modules}/oidc-provider/lib/index.js`);

const client = (id, more) => ({ client_id: id, redirect_uris: redirects, response_types: ['code'], grant_types: ['authorization_code'], ...more });
const server = http.createServer();
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [
    client('exeat', { client_secret: 'a secret with / and : in it, of some length' }),
    client('exeat-public', { token_endpoint_auth_method: 'none' }),
  ],
  cookies: { keys: ['only for tests'] },
  pkce: { required: () => true },
  acrValues: ['urn:one', 'urn:two'],
  // auth_time and acr come when they are asked for; amr is ours to add.
  claims: { openid: ['sub', 'amr'], email: ['email', 'email_verified'], groups: ['groups'] },
  scopes: ['openid', 'email', 'groups'],
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  ttl: { Session: 3600, Interaction: 600, Grant: 3600, AccessToken: 600, IdToken: 600 },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true, groups: ['keepers'] }) }),
  // Who logs in consents.
  loadExistingGrant: async (ctx) => {
    const grant = new provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope('openid email groups');
    await grant.save();
    return grant;
  },
});

const form = (uid, strong) => `<!doctype html><title>provider</title><h1>Provider</h1>
<form method="post" action="/interaction/${uid}"><input id="login" name="login">${strong ? '<input id="factor" name="factor">' : ''}<button id="enter">Enter</button></form>`;

const body = async (req) => {
  let text = '';
  for await (const part of req) text += part;
  return new URLSearchParams(text);
};

const app = provider.callback();
server.on('request', async (req, res) => {
  const path = new URL(req.url, issuer).pathname;
  if (!path.startsWith('/interaction/')) return app(req, res);
  try {
    const { uid, params } = await provider.interactionDetails(req, res);
    const strong = (params.acr_values || '').split(' ').includes('urn:two');
    if (req.method === 'GET') {
      res.setHeader('Content-Type', 'text/html');
      return res.end(form(uid, strong));
    }
    const given = await body(req);
    if (given.get('login') === '') {
      return provider.interactionFinished(req, res, { error: 'access_denied', error_description: 'nobody' });
    }
    const two = strong && given.get('factor');
    return provider.interactionFinished(req, res, { login: { accountId: given.get('login'), acr: two ? 'urn:two' : 'urn:one', amr: two ? ['pwd', 'otp', 'mfa'] : ['pwd'] } });
  } catch (e) {
    res.statusCode = 500;
    res.end(String(e));
  }
});
console.log(issuer);

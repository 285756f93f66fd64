// An authorization server on loopback for TestConnectedProvider: npm's oidc-provider
// from the folder of modules that is the first argument, with the redirect URI that is
// the second. It prints its issuer. Whoever writes a name is that person, and consents
// to what they are asked for. Refresh tokens are good once; when one comes twice, all
// that were made of that login end.
import http from 'node:http';

const [modules, redirect] = process.argv.slice(2);
const { default: Provider } = await import(`${modules}/oidc-provider/lib/index.js`);

const server = http.createServer();
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [{ client_id: 'exeat', client_secret: 'a secret with / and : in it, of some length', redirect_uris: [redirect],
    response_types: ['code'], grant_types: ['authorization_code', 'refresh_token'], token_endpoint_auth_method: 'client_secret_basic' }],
  cookies: { keys: ['only for tests'] },
  pkce: { required: () => true },
  scopes: ['openid', 'offline_access', 'pets:read', 'pets:write'],
  claims: { openid: ['sub', 'email'] },
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: false }, revocation: { enabled: true }, introspection: { enabled: true, allowedPolicy: () => true } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  issueRefreshToken: () => true,
  rotateRefreshToken: () => true,
  ttl: { Session: 3600, Interaction: 600, Grant: 86400, AccessToken: 60, IdToken: 600, RefreshToken: 86400 },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.com` }) }),
  loadExistingGrant: async (ctx) => {
    const grant = new provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope(ctx.oidc.params.scope);
    await grant.save();
    return grant;
  },
});

const form = (uid) => `<!doctype html><title>Pet shop accounts</title><meta name="viewport" content="width=device-width"><h1>Pet shop accounts</h1>
<form method="post" action="/interaction/${uid}"><input id="login" name="login"><button id="enter" name="verdict" value="enter">Enter</button><button id="no">Cancel</button></form>`;

const app = provider.callback();
server.on('request', async (req, res) => {
  const path = new URL(req.url, issuer).pathname;
  if (!path.startsWith('/interaction/')) return app(req, res);
  try {
    const { uid } = await provider.interactionDetails(req, res);
    if (req.method === 'GET') {
      res.setHeader('Content-Type', 'text/html');
      return res.end(form(uid));
    }
    let text = '';
    for await (const part of req) text += part;
    const given = new URLSearchParams(text);
    if (given.get('verdict') !== 'enter') {
      return provider.interactionFinished(req, res, { error: 'access_denied', error_description: 'nobody <b>here</b>' });
    }
    return provider.interactionFinished(req, res, { login: { accountId: given.get('login') }, consent: {} });
  } catch (e) {
    res.statusCode = 500;
    res.end(String(e));
  }
});
console.log(issuer);

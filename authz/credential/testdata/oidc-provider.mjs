// An authorization server on loopback for TestClientCredentialsProvider and
// TestExchangeProvider: npm's oidc-provider from the folder of modules that is the
// first argument, for the resource that is the second; the tokens for what is under
// opaque/ there are opaque. The third is where the keys of exeat are, whose assertions
// it exchanges, the fourth what exeat calls itself. It prints its issuer.
import http from 'node:http';

const [modules, resource, keys, exeat] = process.argv.slice(2);
const lib = (name) => import(`${modules}/oidc-provider/lib/${name}`);
const { default: Provider, errors } = await lib('index.js');
const grants = await lib('helpers/grants.js');
const { applyDpopBinding } = await lib('helpers/grant_common.js');
const jose = await import(`${modules}/jose/dist/webapi/index.js`);

const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
const type = (name) => `urn:ietf:params:oauth:token-type:${name}`;
const server = http.createServer();
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const issuer = `http://127.0.0.1:${server.address().port}`;

const client = (id, method) => ({
  client_id: id, client_secret: 'a secret with / and : in it, of some length', token_endpoint_auth_method: method,
  authorization_details_types: id === 'in-header' ? ['urn:exeat:call:1'] : [], grant_types: ['client_credentials', exchange], redirect_uris: [], response_types: [],
});
const provider = new Provider(issuer, {
  clients: [client('in-header', 'client_secret_basic'), client('in-body', 'client_secret_post')],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  extraTokenClaims: (ctx, token) => (token.gty === 'exchange' && ctx.oidc.actor ? { act: { sub: ctx.oidc.actor } } : undefined),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 7), requireNonce: () => true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, indicator) => {
        if (indicator !== resource && indicator !== `${resource}opaque/`) throw new errors.InvalidTarget();
        return { scope: 'pets:read pets:write', ...(indicator === resource && { accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } }) };
      },
    },
    richAuthorizationRequests: {
      enabled: true,
      types: {
        'urn:exeat:call:1': {
          validate: (_, detail) => {
            if (detail.actions?.length !== 1 || !detail.request?.target || !detail.request?.content_digest) throw new errors.InvalidAuthorizationDetails();
          },
        },
      },
      authorizationDetailsForGrantSource: (_, source) => source.rar,
      authorizationDetailsForAccessToken: (ctx) => JSON.parse(ctx.oidc.params.authorization_details),
      authorizationDetailsForIntrospection: (_, token) => token.rar,
    },
  },
  ttl: { ClientCredentials: 60, AccessToken: 60 },
});

// who reads what exeat says of somebody, by the keys that it publishes.
const published = keys && jose.createRemoteJWKSet(new URL(keys));
async function who(assertion, kind) {
  if (kind !== type('jwt')) throw new errors.InvalidRequest('only JWTs are exchanged here');
  try {
    return (await jose.jwtVerify(assertion, published, { issuer: exeat, audience: issuer, typ: 'JWT', maxTokenAge: 60, requiredClaims: ['jti', 'exp', 'sub'] })).payload.sub;
  } catch (cause) {
    throw new errors.InvalidGrant('the assertion is not good', { cause });
  }
}

// RFC 8693, which oidc-provider leaves to who uses it, of the parts that its own grants have.
provider.registerGrantType(exchange, async (ctx) => {
  const { params, client } = ctx.oidc;
  const dPoP = await grants.validateDpop(provider, ctx);
  const subject = await who(params.subject_token, params.subject_token_type);
  ctx.oidc.actor = params.actor_token && await who(params.actor_token, params.actor_token_type);
  if (params.requested_token_type !== type('access_token')) throw new errors.InvalidRequest('requested_token_type');
  const [resourceServer] = await grants.resolveRequestedResources(provider, ctx);
  if (!resourceServer) throw new errors.InvalidTarget('a resource is needed');
  const allowed = new Set(resourceServer.scope.split(' '));
  const scopes = [...grants.validateClientScope(provider, ctx)].filter((scope) => allowed.has(scope));
  const token = new provider.AccessToken({ client, accountId: subject, gty: 'exchange', scope: scopes.join(' ') || undefined });
  token.resourceServer = resourceServer;
  await applyDpopBinding(provider, ctx, dPoP, token);
  await grants.applyAuthorizationDetails(provider, ctx, token);
  ctx.oidc.entity('AccessToken', token);
  const value = await token.save();
  ctx.body = {
    access_token: value, issued_token_type: type('access_token'), token_type: token.tokenType, expires_in: token.expiration,
    scope: token.scope, authorization_details: token.rar,
  };
}, ['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'requested_token_type', 'scope', 'resource', 'authorization_details']);

server.on('request', provider.callback());
console.log(issuer);

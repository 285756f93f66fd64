// An authorization server on loopback for TestClientCredentialsProvider: npm's
// oidc-provider from the folder of modules that is the first argument, for the
// resource that is the second. It prints its issuer.
import http from 'node:http';

const [modules, resource] = process.argv.slice(2);
const { default: Provider, errors } = await import(`${modules}/oidc-provider/lib/index.js`);

const server = http.createServer();
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const issuer = `http://127.0.0.1:${server.address().port}`;

const client = (id, method) => ({
  client_id: id, client_secret: 'a secret with / and : in it, of some length', token_endpoint_auth_method: method,
  grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
});
const provider = new Provider(issuer, {
  clients: [client('in-header', 'client_secret_basic'), client('in-body', 'client_secret_post')],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, indicator) => {
        if (indicator !== resource) throw new errors.InvalidTarget();
        return { scope: 'pets:read pets:write', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } };
      },
    },
  },
  ttl: { ClientCredentials: 60 },
});
server.on('request', provider.callback());
console.log(issuer);

// An MCP client of the official TypeScript SDK, 1.x or 2.x, that knows nothing but
// the URL of exeat, with a user who follows a login link and allows what is asked:
//
//	node sdk.mjs MODULES 1|2 URL LINK
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, era, url, link] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(join(modules, '@modelcontextprotocol', file)).href);
const { Client } = await load(era === '1' ? 'sdk/dist/esm/client/index.js' : 'client/dist/index.mjs');
const { StreamableHTTPClientTransport } = await load(era === '1' ? 'sdk/dist/esm/client/streamableHttp.js' : 'client/dist/index.mjs');

// The browser: cookies, no scripts, and no way to the client but its redirect URI.
const cookies = {};
const browse = async (location, fields) => {
  const response = await fetch(location, { redirect: 'manual', method: fields ? 'POST' : 'GET', body: fields && new URLSearchParams(fields),
    headers: { cookie: Object.entries(cookies).map(([k, v]) => `${k}=${v}`).join('; ') } });
  for (const set of response.headers.getSetCookie()) {
    const [, name, value] = set.match(/^([^=]+)=([^;]*)/);
    cookies[name] = value;
  }
  return { text: await response.text(), to: response.headers.get('location') };
};
const field = (page, name) => page.text.match(new RegExp(`name="${name}" value="([^"]+)"`))[1].replaceAll('&#43;', '+');

await browse(link.split('?')[0], { code: field(await browse(link), 'code') });

const kept = {};
let back;
const redirect = 'http://127.0.0.1:4711/callback';
const authProvider = {
  redirectUrl: redirect,
  clientMetadata: { client_name: `sdk ${era}`, redirect_uris: [redirect], token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] },
  clientInformation: () => kept.client, saveClientInformation: (x) => { kept.client = x; },
  tokens: () => kept.tokens, saveTokens: (x) => { kept.tokens = x; },
  codeVerifier: () => kept.verifier, saveCodeVerifier: (x) => { kept.verifier = x; },
  discoveryState: () => kept.discovery, saveDiscoveryState: (x) => { kept.discovery = x; },
  redirectToAuthorization: async (to) => {
    const page = await browse(to);
    const answer = await browse(new URL('/oauth/answer', to), { csrf: field(page, 'csrf'), ask: field(page, 'ask'), verdict: 'allow' });
    back = new URL(answer.to);
  },
};

const connect = async () => {
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider });
  const client = new Client({ name: 'sdk', version: era });
  try {
    await client.connect(transport);
  } catch (error) {
    if (error.constructor.name !== 'UnauthorizedError') throw error;
    await transport.finishAuth(back.searchParams.get('code'), back.searchParams.get('iss'));
    return connect();
  }
  return client;
};

let client = await connect();
const { structuredContent } = await client.callTool({ name: 'delete_pet', arguments: { petId: 42 } });
console.log(`held: ${structuredContent.status} ${structuredContent.handle}`);
await client.close();

// The access token is no good any more: the SDK refreshes it by itself.
const before = kept.tokens.refresh_token;
kept.tokens = { ...kept.tokens, access_token: kept.tokens.access_token.replace(/\.[^.]*$/, '.AAAA') };
client = await connect();
console.log(`tools: ${(await client.listTools()).tools.length > 0}, refreshed: ${kept.tokens.refresh_token !== before}`);
process.exit(0);

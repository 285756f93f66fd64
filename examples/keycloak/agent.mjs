// An agent with MCP's official TypeScript SDK: it finds the authorization server by
// itself, has a person log in there (code and PKCE), makes one call, and if that has
// to wait asks for its result until somebody has decided.
//
//   npm install --no-save @modelcontextprotocol/sdk@1.32.2
//   NODE_EXTRA_CA_CERTS=server.pem node agent.mjs https://localhost:8420/mcp claude get_pet '{"petId": 1}'
//
// With SDK=2, @modelcontextprotocol/client@2.4.0 instead.
import { createServer } from 'node:http';
import { once } from 'node:events';

const second = process.env.SDK === '2';
const { Client } = await import(second ? '@modelcontextprotocol/client' : '@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } = await import(second ? '@modelcontextprotocol/client' : '@modelcontextprotocol/sdk/client/streamableHttp.js');

const [url, client_id, name, args = '{}'] = process.argv.slice(2);
if (!name) throw new Error('usage: agent.mjs URL CLIENT_ID TOOL [ARGUMENTS]');

// Where the browser comes back to.
const back = createServer();
back.listen(0, '127.0.0.1');
await once(back, 'listening');
const redirect = `http://127.0.0.1:${back.address().port}/callback`;

const kept = {};
const provider = {
  redirectUrl: redirect,
  clientMetadata: { client_name: 'agent.mjs', redirect_uris: [redirect], token_endpoint_auth_method: 'none' },
  state: () => (kept.state = crypto.randomUUID()),
  clientInformation: () => ({ client_id }),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => { kept.tokens = tokens; },
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
  redirectToAuthorization: (to) => console.log(`open in your browser: ${to}`),
};

// connect opens a session, or returns the transport that waits for a login.
async function connect() {
  const client = new Client({ name: 'agent.mjs', version: '1' }, second ? { versionNegotiation: { mode: 'auto' } } : undefined);
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
  try {
    await client.connect(transport);
    return { client };
  } catch (e) {
    if (!/unauthorized/i.test(`${e?.constructor?.name} ${e?.message}`)) throw e;
    return { transport };
  }
}

let { client, transport } = await connect();
if (!client) {
  const [request, response] = await once(back, 'request');
  const answer = new URL(request.url, redirect).searchParams;
  response.end('You can close this page.');
  if (answer.get('state') !== kept.state || !answer.get('code')) throw new Error(`no code came back: ${answer}`);
  await transport.finishAuth(second ? answer : answer.get('code'));
  ({ client } = await connect());
}
back.close();
back.closeAllConnections();

const call = (name, args) => client.callTool({ name, arguments: args }).catch((e) => {
  console.log(`refused: ${e.message}`);
  process.exit(1);
});
let result = await call(name, JSON.parse(args));
console.log(JSON.stringify(result.structuredContent ?? result));
while (result.structuredContent?.status === 'approval_pending') {
  await new Promise((done) => setTimeout(done, result.structuredContent.poll_after_ms ?? 1000));
  const { handle } = result.structuredContent;
  result = await call('exeat_resume', { handle });
  if (result.structuredContent?.status !== 'approval_pending') console.log(JSON.stringify(result.structuredContent ?? result));
}
await client.close();

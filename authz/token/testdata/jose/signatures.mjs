// Reads {jwks, cases: [{method, url, headers, body}]} from stdin and writes for each
// case whether the request is signed as docs/token.md says, as somebody sees it who
// knows RFC 9421 and RFC 9530 and nothing of exeat's claims. Of exeat's code it uses
// none.
//
//   EXEAT_JOSE_DIR=directory/with/node_modules node signatures.mjs <cases.json
import {createHash, createPublicKey, verify} from 'node:crypto'
import {createRequire} from 'node:module'
import {text} from 'node:stream/consumers'
import {pathToFileURL} from 'node:url'

const here = createRequire(import.meta.url)
const {httpbis} = await import(pathToFileURL(here.resolve('http-message-signatures', {paths: [process.env.EXEAT_JOSE_DIR]})))

const {jwks, cases} = JSON.parse(await text(process.stdin))
const names = {EdDSA: 'ed25519', ES256: 'ecdsa-p256-sha256'}

async function keyLookup({keyid, tag}) {
  const jwk = jwks.keys.find(key => key.kid === keyid)
  if (!jwk || tag !== 'exeat-call-1') return null
  const key = {key: createPublicKey({key: jwk, format: 'jwk'}), dsaEncoding: 'ieee-p1363'}
  const digest = jwk.alg === 'ES256' ? 'sha256' : null
  return {id: keyid, algs: [names[jwk.alg]], verify: async (data, signature) => verify(digest, data, key, signature)}
}

async function check({method, url, headers, body}) {
  const digest = `sha-256=:${createHash('sha256').update(Buffer.from(body ?? '', 'base64')).digest('base64')}:`
  if (headers['content-digest'] !== digest) return 'the content is another'
  const requiredFields = ['@method', '@authority', '@path', '@query', 'content-digest', 'authorization']
  if (headers['content-type']) requiredFields.push('content-type')
  try {
    const ok = await httpbis.verifyMessage({keyLookup, requiredFields, requiredParams: ['created', 'expires', 'nonce', 'keyid', 'alg', 'tag'], tolerance: 5}, {method, url, headers})
    return ok === true ? 'good' : 'not signed so'
  } catch (err) {
    return err.constructor.name
  }
}

const results = []
for (const one of cases) results.push(await check(one))
console.log(JSON.stringify(results))

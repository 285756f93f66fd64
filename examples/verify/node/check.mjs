// Holds verify.mjs to the vectors: node check.mjs ../vectors.json
import {readFileSync} from 'node:fs'
import {createLocalJWKSet} from 'jose'
import {verifier} from './verify.mjs'

const {issuer, audience, now, jwks, vectors} = JSON.parse(readFileSync(process.argv[2]))
let passed = 0, failed = 0
for (const vector of vectors) {
  const spent = new Set()
  const verify = verifier({
    issuer, audience, keys: createLocalJWKSet(jwks), requireApproval: vector.require_approval, now: () => now,
    spend: id => !spent.has(id) && spent.add(id),
  })
  const send = ({request}) => verify({...request, body: Buffer.from(request.body ?? '', 'base64')}).then(() => '', err => `${err.message}`)
  const first = vector.after === undefined ? '' : await send(vectors.find(other => other.name === vector.after))
  const wrong = await send(vector)
  if (first === '' && (vector.verdict === 'either' || (vector.verdict === 'accept') === (wrong === ''))) { passed++; continue }
  failed++
  console.log(`${vector.name}: should ${vector.verdict}, says ${JSON.stringify(first || wrong || 'good')}`)
}
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 && passed > 0 ? 0 : 1)

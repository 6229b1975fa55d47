// What a maker writes by hand: verify the token, call the cloud, keep one row for each call.
// Arguments: address of the device cloud, the public key as JWK, the database's file.
import Database from 'better-sqlite3';
import Fastify from 'fastify';
import { importJWK, jwtVerify } from 'jose';
import { Pool } from 'undici';

const [cloud, jwk, file] = process.argv.slice(2);
const key = await importJWK(JSON.parse(jwk), 'ES256');
const upstream = new Pool(`http://${cloud}`, { connections: 256 });

// The journal everybody recommends; `synchronous` stays at better-sqlite3's default, FULL.
const database = new Database(file);
database.pragma('journal_mode = WAL');
database.exec('CREATE TABLE audit (at INTEGER, customer TEXT, device TEXT, function TEXT, argument TEXT, result INTEGER)');
const insert = database.prepare('INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?)');

const app = Fastify();
app.post('/v1/products/:product/devices/:device/:function', async (request, reply) => {
  const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
  let claims;
  try {
    claims = (await jwtVerify(token, key, { algorithms: ['ES256'] })).payload;
  } catch {
    return reply.code(401).send({ error: 'unauthenticated' });
  }
  if (!claims.scope.split(' ').includes('devices:control')) {
    return reply.code(403).send({ error: 'forbidden' });
  }
  const { device } = request.params;
  const { statusCode, body } = await upstream.request({
    method: 'POST',
    path: request.url,
    headers: { authorization: 'Bearer vendor', 'content-type': 'application/json' },
    body: JSON.stringify({ arg: request.body.arg }),
  });
  const answer = await body.json();
  insert.run(Date.now(), claims.sub, device, request.params.function, request.body.arg, answer.return_value);
  return reply.code(statusCode).send(answer);
});

await app.listen({ host: '127.0.0.1', port: 0 });
console.log(`listening on 127.0.0.1:${app.server.address().port}`);
process.on('SIGTERM', () => process.exit(0));

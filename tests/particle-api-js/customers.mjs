// The vendor's own JavaScript client works for a product's customers: creates one, signs in as one,
// claims a device, calls it, lets it go.
//
// usage: node customers.mjs BASE_URL CLIENT_ID CLIENT_SECRET PRODUCT DEVICE_ID

import assert from 'node:assert/strict';
import Particle from 'particle-api-js';

const [baseUrl, clientId, clientSecret, product, deviceId] = process.argv.slice(2);
assert.ok(deviceId, 'usage: node customers.mjs BASE_URL CLIENT_ID CLIENT_SECRET PRODUCT DEVICE_ID');
const particle = new Particle({ baseUrl, clientId, clientSecret });
const [email, password] = ['lamp-owner@example.com', 'correct horse'];

const { body: created } = await particle.createCustomer({ email, password, product });
assert.equal(created.scope, `customer=${email}`);
const { body: customer } = await particle.login({ username: email, password });
const auth = customer.access_token;

const { body: server } = await particle.loginAsClientOwner();
assert.equal(server.token_type, 'bearer');
const { body: seen } = await particle.getProduct({ product, auth: server.access_token });
assert.equal(seen.product.slug, product);

const { body: claim } = await particle.getClaimCode({ product, auth });
assert.equal(claim.claim_code.length, 63);
const { body: claimed } = await particle.claimDevice({ deviceId, auth });
assert.equal(claimed.customer_id.length, 24);
const { body: own } = await particle.listDevices({ auth });
assert.deepEqual(own.map(({ id }) => id), [deviceId]);

const stream = await particle.getEventStream({ deviceId: 'mine', auth });
const arrival = new Promise((resolve, reject) => {
    stream.on('event', resolve);
    setTimeout(() => reject(new Error('no event within ten seconds')), 10_000).unref();
});
const { body: called } = await particle.callFunction({ deviceId, name: 'setTarget', argument: '19', auth });
assert.equal(called.return_value, 19);
const event = await arrival;
assert.equal(event.name, 'thermostat/state');
assert.equal(event.coreid, deviceId);
assert.equal(JSON.parse(event.data).target, 19);
stream.abort();

const closed = await particle.listDevices({ product, auth }).catch((error) => error);
assert.equal(closed.statusCode, 403);
await particle.removeDevice({ deviceId, auth });
const gone = await particle.getDevice({ deviceId, auth }).catch((error) => error);
assert.equal(gone.statusCode, 403);
assert.equal(gone.body.error, 'Permission Denied');

console.log('particle-api-js: every step for customers worked');
process.exit(0);

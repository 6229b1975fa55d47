// The vendor's own JavaScript client does what a maker's tools do, against the base URL given as an
// argument. Ends with status 0 only if every step worked as it does at the vendor's cloud.
//
// usage: node main-job.mjs BASE_URL USERNAME PASSWORD PRODUCT DEVICE_ID

import assert from 'node:assert/strict';
import Particle from 'particle-api-js';

const [baseUrl, username, password, product, deviceId] = process.argv.slice(2);
assert.ok(deviceId, 'usage: node main-job.mjs BASE_URL USERNAME PASSWORD PRODUCT DEVICE_ID');
const particle = new Particle({ baseUrl });

const login = await particle.login({ username, password });
assert.equal(login.statusCode, 200);
const auth = login.body.access_token;
assert.match(auth, /^[0-9a-f]{40}$/);

const refused = await particle.login({ username, password: 'wrong' }).catch((error) => error);
assert.equal(refused.statusCode, 400);
assert.match(refused.errorDescription, /User credentials are invalid/);

const user = await particle.getUserInfo({ auth });
assert.equal(user.body.username, username);

const { body: listed } = await particle.listDevices({ product, perPage: 100, auth });
assert.ok(listed.devices.some((device) => device.id === deviceId));
assert.equal(listed.meta.total_pages, 1);

const { body: own } = await particle.listDevices({ auth });
assert.deepEqual(own, []);

const { body: claimed } = await particle.claimDevice({ deviceId, auth });
assert.equal(claimed.ok, true);
const { body: device } = await particle.getDevice({ deviceId, auth });
assert.equal(device.owner, username);
assert.equal(device.variables.target, 'int32');

const { body: called } = await particle.callFunction({ deviceId, name: 'setTarget', argument: '24', product, auth });
assert.equal(called.return_value, 24);
const { body: read } = await particle.getVariable({ deviceId, name: 'target', product, auth });
assert.equal(read.result, 24);

const unknown = await particle.callFunction({ deviceId, name: 'blink', argument: '', auth }).catch((error) => error);
assert.equal(unknown.statusCode, 404);
assert.equal(unknown.body.error, 'Function blink not found');

const stream = await particle.getEventStream({ product, name: 'greetings/', auth });
const arrival = new Promise((resolve, reject) => {
    stream.on('event', resolve);
    setTimeout(() => reject(new Error('no event within ten seconds')), 10_000).unref();
});
const { body: published } = await particle.publishEvent({ name: 'greetings/all', data: 'good morning', isPrivate: true, product, auth });
assert.equal(published.ok, true);
const event = await arrival;
assert.equal(event.name, 'greetings/all');
assert.equal(event.data, 'good morning');
assert.equal(event.coreid, '001');
stream.abort();

const settings = { integration_type: 'Webhook', url: 'http://127.0.0.1:9/hook', requestType: 'POST' };
const { body: hook, statusCode } = await particle.createIntegration({ event: 'greetings', settings, product, auth });
assert.equal(statusCode, 201);
const { body: hooks } = await particle.listIntegrations({ product, auth });
assert.deepEqual(hooks.map(({ id }) => id), [hook.id]);
const deleted = await particle.deleteIntegration({ integrationId: hook.id, product, auth });
assert.equal(deleted.statusCode, 204);

const { body: client } = await particle.createOAuthClient({ name: 'Back End', type: 'installed', product, auth });
assert.match(client.client.id, /^back-end-\d{3,4}$/);
assert.match(client.client.secret, /^[0-9a-f]{40}$/);

const { body: renamed } = await particle.renameDevice({ deviceId, name: 'parlour', product, auth });
assert.equal(renamed.name, 'parlour');
const { body: removed } = await particle.removeDevice({ deviceId, auth });
assert.equal(removed.ok, true);

await particle.deleteAccessToken({ token: auth });
const gone = await particle.getUserInfo({ auth }).catch((error) => error);
assert.equal(gone.statusCode, 401);

console.log('particle-api-js: every step worked');
// Sockets that the client keeps alive must not hold the process.
process.exit(0);

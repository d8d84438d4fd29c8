// A real OpenID provider on loopback, for the test beside this file: `node provider.mjs PORT REDIRECT_URI CLIENT_SECRET`,
// run from a folder with the package `oidc-provider`. Whoever signs in as `NAME` has the address
// `NAME@example.org`, verified unless the name begins with `unverified`.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [port, redirect, secret] = process.argv.slice(2);
const here = createRequire(pathToFileURL(`${process.cwd()}/`));
const { Provider } = await import(pathToFileURL(here.resolve('oidc-provider')));
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: 'aimate',
      client_secret: secret,
      redirect_uris: [redirect],
      response_types: ['code'],
      grant_types: ['authorization_code'],
    },
  ],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  pkce: { required: () => true },
  cookies: { keys: ['of this test alone'] },
  features: { devInteractions: { enabled: true } },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      name: `${id} of the provider`,
      email: `${id}@example.org`,
      email_verified: !id.startsWith('unverified'),
    }),
  }),
});
provider.on('server_error', (_, error) => console.error(error));
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));

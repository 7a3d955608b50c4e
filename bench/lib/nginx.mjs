// nginx, twice: as the mock provider behind everybody, and as the plain proxy that is the measure of a hop.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts, ready, start } from './process.mjs';
import { chatAnswer } from './requests.mjs';

// One process and no master: one thing to end. Temporary files stay in its own folder.
const common = (dir) => `daemon off;
master_process off;
pid ${dir}/nginx.pid;
error_log ${dir}/error.log warn;
worker_rlimit_nofile 8192;
events { worker_connections 4096; }
http {
    access_log off;
    server_tokens off;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    client_body_buffer_size 64k;
    client_body_temp_path ${dir}/body;
    proxy_temp_path ${dir}/proxy;
    fastcgi_temp_path ${dir}/fastcgi;
    uwsgi_temp_path ${dir}/uwsgi;
    scgi_temp_path ${dir}/scgi;
`;

async function launch(ctx, name, port, http) {
    const dir = join(ctx.dir, name);
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, 'nginx.conf'), `${common(dir)}${http}}\n`);
    const child = start(name, ['nginx', '-p', dir, '-c', join(dir, 'nginx.conf'), '-e', join(dir, 'error.log')]);
    await ready(child, () => fetch(`http://127.0.0.1:${port}/ready`));
    return child;
}

// Answers every POST at once with the same completion.
export async function startMock(ctx) {
    const [port] = await freePorts(1);
    const child = await launch(ctx, 'mock', port, `
    server {
        listen 127.0.0.1:${port};
        default_type application/json;
        location / { return 200 '${chatAnswer()}'; }
    }
`);
    return { child, port, address: `127.0.0.1:${port}` };
}

// Passes everything on to `to`, over connections that it keeps.
export async function startProxy(ctx, name, to) {
    const [port] = await freePorts(1);
    const child = await launch(ctx, name, port, `
    upstream provider { server ${to}; keepalive 2048; keepalive_requests 100000000; }
    server {
        listen 127.0.0.1:${port};
        location = /ready { return 204; }
        location / {
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }
    }
`);
    return { child, port, address: `127.0.0.1:${port}` };
}

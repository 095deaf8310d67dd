"""The proxies that bench/run measures: a configuration for each, and the command that runs it.

All of them: one worker, connections to the origin kept alive, no log, TLS 1.3 with AES-128-GCM and
X25519, HTTP/2 offered by ALPN, and otherwise as little to do as they can be told.
"""
import os
import shutil

IDLE_TO_ORIGIN = 1024  # connections kept for the next request: more than any row has at a time


def sluice_command(work, ports, origin_port, binary):
    config = work / "sluice.toml"
    state = work / "sluice-state"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir()
    config.write_text(f"""\
[runtime]
workers = 1
state_directory = "{state}"
[listeners.http]
address = "127.0.0.1:{ports['http']}"
[listeners.https]
address = "127.0.0.1:{ports['https']}"
[listeners.https.tls]
certificate_file = "{work}/certificate.pem"
key_file = "{work}/key.pem"
[limits]
backend_idle_connections = {IDLE_TO_ORIGIN}
[backends.origin]
servers = ["127.0.0.1:{origin_port}"]
[routes.app]
path = "/"
split = {{ origin = 1 }}
[admin]
listen = ["127.0.0.1:{ports['admin']}"]
read_only_listen = ["127.0.0.1:{ports['metrics']}"]
""")
    return [binary, "run", "-c", config]


def nginx_command(work, ports, origin_port):
    config = work / "nginx.conf"
    config.write_text(f"""\
worker_processes 1;
worker_rlimit_nofile 20000;
user root;
daemon off;
pid {work}/nginx.pid;
error_log stderr error;
events {{ worker_connections 20000; multi_accept on; }}
http {{
  access_log off;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_body_temp_path {work}/nginx-body;
  proxy_temp_path {work}/nginx-proxy;
  fastcgi_temp_path {work}/nginx-fastcgi;
  uwsgi_temp_path {work}/nginx-uwsgi;
  scgi_temp_path {work}/nginx-scgi;
  upstream origin {{
    server 127.0.0.1:{origin_port};
    keepalive {IDLE_TO_ORIGIN};
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{ports['http']} backlog=4096;
    listen 127.0.0.1:{ports['https']} ssl http2 backlog=4096;
    ssl_certificate {work}/certificate.pem;
    ssl_certificate_key {work}/key.pem;
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    ssl_ecdh_curve X25519;
    location / {{
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
""")
    return [shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"), "-p", work, "-e",
            "stderr", "-c", config]


def haproxy_command(work, ports, origin_port):
    config = work / "haproxy.cfg"
    config.write_text(f"""\
global
  nbthread 1
  maxconn 9900
  ulimit-n 20000
  ssl-default-bind-options ssl-min-ver TLSv1.3
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
defaults
  mode http
  timeout client 600s
  timeout server 600s
  timeout connect 5s
  timeout http-keep-alive 600s
  option http-keep-alive
  http-reuse always
frontend http
  bind 127.0.0.1:{ports['http']} backlog 4096
  bind 127.0.0.1:{ports['https']} backlog 4096 ssl crt {work}/both.pem curves X25519 alpn h2,http/1.1
  default_backend origin
backend origin
  server one 127.0.0.1:{origin_port} pool-max-conn -1
""")
    return [shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin"), "-db", "-f", config]


def h2o_command(work, ports, origin_port):
    config = work / "h2o.yaml"
    config.write_text(f"""\
num-threads: 1
max-connections: 16000
user: root
http1-request-timeout: 600
http2-idle-timeout: 600
http2-max-concurrent-requests-per-connection: 256
proxy.timeout.keepalive: 600000
proxy.preserve-host: ON
hosts:
  default:
    listen:
      host: 127.0.0.1
      port: {ports['http']}
    listen:
      host: 127.0.0.1
      port: {ports['https']}
      ssl:
        certificate-file: {work}/certificate.pem
        key-file: {work}/key.pem
        minimum-version: TLSv1.3
    paths:
      /:
        proxy.reverse.url: http://127.0.0.1:{origin_port}/
""")
    return [shutil.which("h2o"), "-m", "worker", "-c", config]

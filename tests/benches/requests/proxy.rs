//! The proxies, set up alike: one worker, kept connections on both sides, no limits in the way.

use std::{
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use harness::{Process, RawClient, binary, free_port};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    envoy,
    workload::{Setup, Workload, host},
};

/// Which proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tidegate,
    Nginx,
    Haproxy,
    Envoy,
}

impl Kind {
    /// In the order of the table.
    pub(crate) const ALL: [Self; 4] = [Self::Tidegate, Self::Nginx, Self::Haproxy, Self::Envoy];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tidegate => "tidegate",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
        }
    }

    fn program(self) -> PathBuf {
        match self {
            Self::Tidegate => binary().to_owned(),
            Self::Nginx | Self::Haproxy => Path::new("/usr/sbin").join(self.name()),
            // Of no package; wherever `PATH` has it.
            Self::Envoy => {
                let path = env::var_os("PATH").unwrap_or_default();
                env::split_paths(&path)
                    .map(|folder| folder.join(self.name()))
                    .find(|file| file.exists())
                    .unwrap_or_default()
            }
        }
    }

    /// Whether it can be started here.
    pub(crate) fn is_installed(self) -> bool {
        self.program().exists()
    }

    /// Whether it is set up for what `workload` needs: HAProxy writes no file, and Envoy is for the plain ones.
    pub(crate) fn does(self, workload: &Workload) -> bool {
        let Setup { access_log, rules, .. } = workload.setup;
        match self {
            Self::Tidegate | Self::Nginx => true,
            Self::Haproxy => !access_log,
            Self::Envoy => !access_log && !rules,
        }
    }
}

/// A proxy that runs, as one process.
pub(crate) struct Proxy {
    process: Process,
    port: u16,
    /// Configuration and logs.
    _folder: TempDir,
}

impl Proxy {
    /// Starts `kind` in front of `origin`, behind the words of `wrapper`, and waits until it accepts.
    pub(crate) fn start(kind: Kind, setup: &Setup, origin: &str, wrapper: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let port = free_port();
        let site = Site { setup, origin, port, folder: folder.path() };
        let arguments = match kind {
            Kind::Tidegate => site.tidegate(),
            Kind::Nginx => site.nginx(),
            Kind::Haproxy => site.haproxy(),
            Kind::Envoy => site.envoy(),
        };
        let mut words = wrapper.iter().map(|word| PathBuf::from(*word)).chain([kind.program()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).args(arguments);
        let mut process = Process::spawn(kind.name(), command);
        let address = format!("127.0.0.1:{port}");
        process.wait_until("it accepts", || RawClient::connect(&address).ok());
        Self { process, port, _folder: folder }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// What a configuration is written from.
struct Site<'a> {
    setup: &'a Setup,
    origin: &'a str,
    port: u16,
    folder: &'a Path,
}

impl Site<'_> {
    /// The hosts that have a route of their own.
    fn hosts(&self) -> impl Iterator<Item = String> {
        (0..self.setup.routes).filter(|_| self.setup.routes > 1).map(host)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        fs::write(&path, text).expect("a temporary directory can be written to");
        path.display().to_string()
    }

    fn tidegate(&self) -> Vec<String> {
        let route = |name: String, hosts: Vec<String>| json!({ "name": name, "match": { "hosts": hosts }, "action": { "forward": { "upstream": "up" } } });
        let mut routes: Vec<_> =
            self.hosts().enumerate().map(|(index, host)| route(format!("r{index}"), vec![host])).collect();
        if routes.is_empty() {
            routes.push(route("all".to_owned(), Vec::new()));
        }
        if self.setup.rules {
            for route in &mut routes {
                route["rewrite"] = json!({ "path": { "strip_prefix": "/api" } });
                route["request_headers"] = json!({
                    "set": { "X-Env": "prod", "X-Site": "shop", "X-Client": "{client_address}" },
                    "remove": ["X-Debug", "Cookie"],
                });
                route["response_headers"] = json!({
                    "set": { "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache" },
                    "remove": ["Server"],
                });
            }
        }
        let config = json!({
            "settings": { "access_log": { "enabled": self.setup.access_log, "file": self.folder.join("access.log") } },
            "listeners": [{ "name": "web", "address": format!("127.0.0.1:{}", self.port), "allow_h2c": self.setup.h2 }],
            "upstreams": [{ "name": "up", "protocol": if self.setup.grpc { "h2c" } else { "h1" }, "backends": [{ "name": "b", "address": self.origin }] }],
            "routes": routes,
        });
        let file = self.write("tidegate.json", &config.to_string());
        let admin = format!("127.0.0.1:{}", free_port());
        // The data plane's own binary, which builds much faster, has no subcommands.
        let subcommand = (!binary().ends_with("tidegate-dataplane")).then_some("dataplane");
        let flags = ["--config", &file, "--workers", "1", "--admin-address", &admin];
        subcommand.into_iter().chain(flags).map(str::to_owned).collect()
    }

    fn nginx(&self) -> Vec<String> {
        let Self { origin, port, folder, .. } = self;
        let folder = folder.display();
        let log = match self.setup.access_log {
            true => format!(
                "log_format j escape=json '{{\"client\":\"$remote_addr\",\"method\":\"$request_method\",\"host\":\"$host\",\"path\":\"$uri\",\
                 \"status\":$status,\"bytes\":$body_bytes_sent,\"duration\":$request_time}}';
                 access_log {folder}/access.log j buffer=64k flush=1s;"
            ),
            false => "access_log off;".to_owned(),
        };
        let h2 = if self.setup.h2 { "http2" } else { "" };
        let pass = match (self.setup.grpc, self.setup.rules) {
            (true, _) => "grpc_pass grpc://up;",
            (false, false) => "proxy_pass http://up;",
            // What is set for requests here replaces what is set above.
            (false, true) => {
                "rewrite ^/api(/.*)$ $1 break; proxy_pass http://up;
                 proxy_set_header Host $http_host; proxy_set_header Connection ''; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                 proxy_set_header X-Env prod; proxy_set_header X-Site shop; proxy_set_header X-Client $remote_addr;
                 proxy_set_header X-Debug ''; proxy_set_header Cookie '';
                 proxy_hide_header Server; proxy_hide_header Cache-Control;
                 add_header X-Frame-Options DENY; add_header X-Content-Type-Options nosniff; add_header Cache-Control no-cache;"
            }
        };
        let mut servers = String::new();
        for host in self.hosts() {
            let _ = writeln!(
                servers,
                "server {{ listen 127.0.0.1:{port} {h2}; server_name {host}; location / {{ {pass} }} }}"
            );
        }
        let other = if servers.is_empty() { format!("location / {{ {pass} }}") } else { "return 404;".to_owned() };
        let configuration = format!(
            "daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr error;
             events {{ worker_connections 4096; multi_accept on; }}
             http {{
               {log}
               server_tokens off; tcp_nodelay on; sendfile on; tcp_nopush on;
               keepalive_timeout 120s; keepalive_requests 1000000000; client_max_body_size 0; client_body_buffer_size 128k;
               client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
               uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
               server_names_hash_max_size 131072; server_names_hash_bucket_size 128;
               proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_set_header Connection '';
               proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_request_buffering off;
               proxy_buffer_size 16k; proxy_buffers 16 16k; proxy_busy_buffers_size 64k; proxy_max_temp_file_size 0;
               upstream up {{
                 server {origin} max_fails=0;
                 keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 120s;
               }}
               server {{ listen 127.0.0.1:{port} {h2} backlog=4096; server_name _; {other} }}
               {servers}
             }}\n"
        );
        let file = self.write("nginx.conf", &configuration);
        vec!["-c".to_owned(), file, "-p".to_owned(), folder.to_string(), "-e".to_owned(), "stderr".to_owned()]
    }

    fn envoy(&self) -> Vec<String> {
        let hosts: Vec<String> = self.hosts().collect();
        let configuration = envoy::configuration(self.setup, self.origin, self.port, &hosts);
        let file = self.write("envoy.json", &configuration.to_string());
        ["-c", &file, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"].map(str::to_owned).to_vec()
    }

    fn haproxy(&self) -> Vec<String> {
        let Self { origin, port, .. } = self;
        let hosts: String = self.hosts().map(|host| format!("{host} be\n")).collect();
        let route = match hosts.as_str() {
            "" => "default_backend be".to_owned(),
            hosts => {
                format!("use_backend %[req.hdr(host),field(1,:),lower,map_str({})]", self.write("hosts.map", hosts))
            }
        };
        let h2 = if self.setup.h2 { " proto h2" } else { "" };
        let to_origin = if self.setup.grpc { " proto h2" } else { "" };
        let rules = match self.setup.rules {
            true => {
                "http-request replace-path /api(/.*) \\1\n  http-request set-header X-Env prod\n  http-request set-header X-Site shop\n  \
                 http-request set-header X-Client %[src]\n  http-request del-header X-Debug\n  http-request del-header Cookie\n  \
                 http-response set-header X-Frame-Options DENY\n  http-response set-header X-Content-Type-Options nosniff\n  \
                 http-response set-header Cache-Control no-cache\n  http-response del-header Server\n  "
            }
            false => "",
        };
        let configuration = format!(
            "global\n  nbthread 1\n  maxconn 4096\n  maxpipes 128\n\
             defaults\n  mode http\n  option http-keep-alive\n  option splice-request\n  option splice-response\n  \
             timeout connect 5s\n  timeout client 120s\n  timeout server 120s\n  timeout http-keep-alive 120s\n\
             frontend fe\n  bind 127.0.0.1:{port} backlog 4096{h2}\n  option forwardfor\n  {rules}{route}\n\
             backend be\n  http-reuse always\n  server s {origin}{to_origin} pool-purge-delay 120s\n"
        );
        vec!["-db".to_owned(), "-f".to_owned(), self.write("haproxy.cfg", &configuration)]
    }
}

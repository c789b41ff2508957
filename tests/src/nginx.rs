//! A real server as a backend.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use crate::{Process, RawClient, free_port};

/// nginx with a configuration of the test's, ended when this value is dropped.
pub struct Nginx {
    process: Process,
    directory: TempDir,
    port: u16,
}

impl Nginx {
    const PROGRAM: &str = "/usr/sbin/nginx";

    /// Starts nginx with one `server` that listens on a free port and holds `directives`, such as
    /// `location / { return 200 "hello"; }`.
    ///
    /// # Panics
    /// When it does not start, or is not installed: a test that tests nothing must not pass.
    pub fn start(directives: &str) -> Self {
        assert!(Path::new(Self::PROGRAM).exists(), "{} is missing: apt-get install nginx", Self::PROGRAM);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let port = free_port();
        let folder = directory.path().display();
        let configuration = format!(
            "daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr warn;
             events {{ worker_connections 1024; }}
             http {{
               access_log off; keepalive_requests 1000000;
               client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
               uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
               server {{ listen 127.0.0.1:{port}; root {folder}/root; {directives} }}
             }}\n"
        );
        let path = directory.path().join("nginx.conf");
        fs::create_dir(directory.path().join("root"))
            .and_then(|()| fs::write(&path, configuration))
            .expect("a temporary directory can be written to");
        let mut command = Command::new(Self::PROGRAM);
        command.arg("-c").arg(&path).arg("-p").arg(directory.path()).args(["-e", "stderr"]);
        let mut process = Process::spawn("nginx", command);
        let address = format!("127.0.0.1:{port}");
        process.wait_until("nginx accepts", || RawClient::connect(&address).ok());
        Self { process, directory, port }
    }

    /// The address as a backend's `address` is written.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The folder whose files it serves where the directives say nothing else.
    pub fn root(&self) -> std::path::PathBuf {
        self.directory.path().join("root")
    }

    /// The process, to stop or to kill it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::get;

    #[test]
    fn serves_what_its_directives_say() {
        let nginx = Nginx::start("location = /x { return 200 hello; }");
        assert_eq!(get(&nginx.address(), "h", "/x").unwrap().text(), "hello");
        fs::write(nginx.root().join("file"), "content").unwrap();
        assert_eq!(get(&nginx.address(), "h", "/file").unwrap().text(), "content");
    }
}

//! nginx's command line.

/// Where the configuration is, if nothing else is said.
pub(crate) const CONFIG: &str = "/etc/nginx/nginx.conf";
/// What the image `httpd` is served by.
pub(crate) const HTTPD_CONFIG: &str = "/usr/local/apache2/conf/sampan.conf";

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    Serve,
    /// `-t`; `-T` prints it too.
    Check {
        print: bool,
        quiet: bool,
    },
    Version {
        long: bool,
    },
    Help,
    /// `-s`
    Signal(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandLine {
    pub(crate) task: Task,
    pub(crate) config: String,
    /// `-g`: directives before the file's.
    pub(crate) directives: String,
    /// It was called as Apache's server.
    pub(crate) httpd: bool,
}

pub(crate) const HELP: &str = "\
Usage: nginx [-?hvVtTq] [-s signal] [-c filename] [-g directives]

Options:
  -?,-h         : this help
  -v            : show version and exit
  -V            : show version and what this nginx is, then exit
  -t            : test configuration and exit
  -T            : test configuration, dump it and exit
  -q            : suppress non-error messages during configuration testing
  -s signal     : stop, quit: end the container's server once all are served;
                  reload, reopen: test the configuration, which is read by itself
  -c filename   : set configuration file (default: /etc/nginx/nginx.conf)
  -g directives : set global directives out of configuration file
";

/// # Errors
/// What is wrong, in nginx's words.
pub(crate) fn parse(arguments: &[String]) -> Result<CommandLine, String> {
    let (name, rest) =
        arguments.split_first().map_or(("nginx", &[][..]), |(name, rest)| (name, rest));
    let httpd = name.rsplit('/').next().is_some_and(|name| name.starts_with("httpd"));
    if httpd {
        return parse_httpd(rest);
    }
    let mut line = CommandLine {
        task: Task::Serve,
        config: CONFIG.to_owned(),
        directives: String::new(),
        httpd,
    };
    let mut quiet = false;
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-') else {
            return Err(format!("nginx: invalid option: \"{word}\""));
        };
        let mut letters = letters.chars();
        while let Some(letter) = letters.next() {
            let mut value = |needs: &str| {
                let rest = letters.as_str().to_owned();
                letters = "".chars();
                let next = if rest.is_empty() { words.next().cloned() } else { Some(rest) };
                next.ok_or_else(|| format!("nginx: option \"-{letter}\" requires {needs}"))
            };
            match letter {
                '?' | 'h' => line.task = Task::Help,
                'v' => line.task = Task::Version { long: false },
                'V' => line.task = Task::Version { long: true },
                't' => line.task = Task::Check { print: false, quiet: false },
                'T' => line.task = Task::Check { print: true, quiet: false },
                'q' => quiet = true,
                'c' => line.config = absolute(&value("file name")?),
                'g' => line.directives = value("parameter")?,
                'e' => drop(value("file name")?),
                'p' => drop(value("directory name")?),
                's' => line.task = Task::Signal(value("parameter")?),
                other => return Err(format!("nginx: invalid option: \"{other}\"")),
            }
        }
    }
    if let Task::Check { quiet: of_task, .. } = &mut line.task {
        *of_task = quiet;
    }
    Ok(line)
}

/// `httpd-foreground`, `httpd -D FOREGROUND`, `httpd -v`, `httpd -t`.
fn parse_httpd(words: &[String]) -> Result<CommandLine, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let task = match &words[..] {
        [] | ["-D", "FOREGROUND"] | ["-DFOREGROUND"] => Task::Serve,
        ["-v"] => Task::Version { long: false },
        ["-t"] => Task::Check { print: false, quiet: false },
        [other, ..] => {
            return Err(format!("httpd: \"{other}\" is not supported by sampan's httpd"));
        }
    };
    let config = HTTPD_CONFIG.to_owned();
    Ok(CommandLine { task, config, directives: String::new(), httpd: true })
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/etc/nginx/{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<CommandLine, String> {
        parse(&line.split('|').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read() {
        let line = parsed("nginx|-g|daemon off;").unwrap();
        assert_eq!((line.task, line.directives.as_str()), (Task::Serve, "daemon off;"));
        let line = parsed("/usr/sbin/nginx|-qtc|/x.conf").unwrap();
        assert_eq!(line.task, Task::Check { print: false, quiet: true });
        assert_eq!(line.config, "/x.conf");
        assert_eq!(parsed("nginx|-cx.conf").unwrap().config, "/etc/nginx/x.conf");
        assert_eq!(parsed("nginx|-v").unwrap().task, Task::Version { long: false });
        assert!(parsed("/usr/local/bin/httpd-foreground").unwrap().httpd);
    }

    #[test]
    fn faults_are_worded_as_nginx_words_them() {
        assert_eq!(parsed("nginx|-x").unwrap_err(), "nginx: invalid option: \"x\"");
        assert_eq!(parsed("nginx|start").unwrap_err(), "nginx: invalid option: \"start\"");
        assert_eq!(parsed("nginx|-c").unwrap_err(), "nginx: option \"-c\" requires file name");
        assert!(parsed("httpd|-X").unwrap_err().contains("not supported"));
    }
}

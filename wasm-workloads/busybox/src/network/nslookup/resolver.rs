//! `/etc/resolv.conf`: whom to ask, and which names may be meant (resolv.conf(5)).

use std::net::IpAddr;

/// Bound: as the C library's.
const SERVERS_MAX: usize = 3;

#[derive(Debug, PartialEq, Eq)]
pub struct Resolver {
    pub servers: Vec<IpAddr>,
    search: Vec<String>,
    /// A name with fewer dots is first sought in the search list.
    dots: usize,
}

impl Resolver {
    pub fn parse(text: &str) -> Self {
        let mut resolver = Self { servers: Vec::new(), search: Vec::new(), dots: 1 };
        for line in text.lines() {
            let mut words = line.split(['#', ';']).next().unwrap_or_default().split_whitespace();
            match words.next() {
                Some("nameserver") if resolver.servers.len() < SERVERS_MAX => {
                    resolver
                        .servers
                        .extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()));
                }
                Some("search" | "domain") => resolver.search = words.map(str::to_owned).collect(),
                Some("options") => {
                    let dots =
                        words.rev().find_map(|word| word.strip_prefix("ndots:")?.parse().ok());
                    resolver.dots = dots.unwrap_or(resolver.dots);
                }
                _ => {}
            }
        }
        if resolver.servers.is_empty() {
            resolver.servers.push(IpAddr::from([127, 0, 0, 1]));
        }
        resolver
    }

    /// The names that may be meant, in the order in which they are sought.
    pub fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let mut names: Vec<String> =
            self.search.iter().map(|domain| format!("{name}.{domain}")).collect();
        let first = name.matches('.').count() >= self.dots;
        names.insert(if first { 0 } else { names.len() }, name.to_owned());
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pods_file_is_understood() {
        let resolver = Resolver::parse(
            "search a.svc.cluster.local svc.cluster.local # x\nnameserver 10.43.0.10\noptions ndots:5\n",
        );
        assert_eq!(resolver.servers, [IpAddr::from([10, 43, 0, 10])]);
        let names = ["web.a.svc.cluster.local", "web.svc.cluster.local", "web"];
        assert_eq!(resolver.candidates("web"), names);
        assert_eq!(resolver.candidates("web."), ["web."]);
        assert_eq!(resolver.candidates("a.b.c.d.e.f")[0], "a.b.c.d.e.f");
    }

    #[test]
    fn without_a_file_it_is_this_machine() {
        let resolver = Resolver::parse("");
        assert_eq!(resolver.servers, [IpAddr::from([127, 0, 0, 1])]);
        assert_eq!(resolver.candidates("web"), ["web"]);
    }
}

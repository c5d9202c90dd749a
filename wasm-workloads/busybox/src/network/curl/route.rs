//! Servers that are elsewhere than their names say: `--resolve` and `--connect-to`.

use std::net::IpAddr;

/// `--resolve`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    pub host: String,
    pub port: u16,
    pub addresses: Vec<IpAddr>,
}

/// `--connect-to`: to what connections lead that would go to this host and port; what is missing is any
/// host or port, or the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redirected {
    pub host: Option<String>,
    pub port: Option<u16>,
    pub to_host: Option<String>,
    pub to_port: Option<u16>,
}

pub fn resolve(resolved: &mut Vec<Resolved>, text: &str) -> Result<(), String> {
    let bad = || format!("bad entry '{text}', it is HOST:PORT:ADDRESS[,ADDRESS]...");
    let mut parts = text.trim_start_matches('+').splitn(3, ':');
    let (Some(host), Some(port), Some(addresses)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(bad());
    };
    let addresses: Option<Vec<IpAddr>> = addresses
        .split(',')
        .map(|address| address.trim_start_matches('[').trim_end_matches(']').parse().ok())
        .collect();
    resolved.push(Resolved {
        host: host.to_owned(),
        port: port.parse().map_err(|_| bad())?,
        addresses: addresses.ok_or_else(bad)?,
    });
    Ok(())
}

/// `HOST1:PORT1:HOST2:PORT2`, each of which may be empty; IPv6 addresses stand in brackets.
pub fn connect_to(redirected: &mut Vec<Redirected>, text: &str) -> Result<(), String> {
    let bad = || format!("bad entry '{text}', it is HOST1:PORT1:HOST2:PORT2");
    let (mut parts, mut in_brackets) = (vec![String::new()], false);
    for letter in text.chars() {
        match letter {
            '[' => in_brackets = true,
            ']' => in_brackets = false,
            ':' if !in_brackets => parts.push(String::new()),
            other => parts.last_mut().ok_or_else(bad)?.push(other),
        }
    }
    let [host, port, to_host, to_port] = parts.as_slice() else { return Err(bad()) };
    let name = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let number = |text: &String| match text.as_str() {
        "" => Ok(None),
        digits => digits.parse().map(Some).map_err(|_| bad()),
    };
    redirected.push(Redirected {
        host: name(host),
        port: number(port)?,
        to_host: name(to_host),
        to_port: number(to_port)?,
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_given_addresses() {
        let mut resolved = Vec::new();
        resolve(&mut resolved, "+a:80:10.0.0.1,[::1]").unwrap();
        assert_eq!((resolved[0].host.as_str(), resolved[0].port), ("a", 80));
        assert_eq!(resolved[0].addresses.len(), 2);
        for bad in ["a:80", "a:b:10.0.0.1", "a:80:b"] {
            assert!(
                resolve(&mut resolved, bad).unwrap_err().contains("HOST:PORT:ADDRESS"),
                "{bad}"
            );
        }
    }

    #[test]
    fn connections_are_led_elsewhere() {
        let mut led = Vec::new();
        connect_to(&mut led, "::[::1]:8080").unwrap();
        connect_to(&mut led, "a:80::").unwrap();
        let expect = Redirected {
            to_host: Some("::1".to_owned()),
            to_port: Some(8080),
            ..Redirected::default()
        };
        assert_eq!(led[0], expect);
        assert_eq!((led[1].host.as_deref(), led[1].port), (Some("a"), Some(80)));
        for bad in ["a:1:b", "a:b:c:d", "a:1:b:2:c"] {
            assert!(
                connect_to(&mut led, bad).unwrap_err().contains("HOST1:PORT1:HOST2:PORT2"),
                "{bad}"
            );
        }
    }
}

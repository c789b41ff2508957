use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::{IpNet, Ipv4Net};

use super::{ParseError, quoted, string_value};

/// A range of IP addresses, e.g. `10.0.0.0/8`; a bare address is a range of one.
///
/// IPv4-mapped IPv6 ranges become IPv4, because a client that comes in over a mapped address is an IPv4 client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr(IpNet);

impl Cidr {
    /// The range as `ipnet` type.
    pub fn net(self) -> IpNet {
        self.0
    }

    /// Whether `address` lies in the range; mapped addresses count as IPv4.
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Cidr {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let net = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address.to_canonical()),
            Err(_) => unmapped(text.parse::<IpNet>().map_err(|_| {
                ParseError::new(format!(
                    "{} is not an address range: write e.g. \"203.0.113.0/24\", \"2001:db8::/32\" or one address",
                    quoted(text)
                ))
            })?),
        };
        if net != net.trunc() {
            return Err(ParseError::new(format!(
                "{} has bits set after the prefix: did you mean \"{}\" or \"{}\"?",
                quoted(text),
                net.trunc(),
                IpNet::from(net.addr())
            )));
        }
        Ok(Self(net))
    }
}

fn unmapped(net: IpNet) -> IpNet {
    match (net.addr().to_canonical(), net) {
        (IpAddr::V4(v4), IpNet::V6(v6)) if v6.prefix_len() >= 96 => {
            Ipv4Net::new(v4, v6.prefix_len() - 96).map_or(net, IpNet::V4)
        }
        _ => net,
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

string_value!(
    Cidr,
    "a range of IP addresses, e.g. 203.0.113.0/24 or 2001:db8::/32; one address is a range of one",
    "203.0.113.0/24"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_canonical_or_refused() {
        for (text, canonical) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.1.2.3", Some("10.1.2.3/32")),
            ("::1", Some("::1/128")),
            ("::ffff:10.0.0.0/104", Some("10.0.0.0/8")),
            ("::ffff:10.0.0.1", Some("10.0.0.1/32")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("::/0", Some("::/0")),
            ("10.0.0.1/8", None),
            ("10.0.0.0/33", None),
            ("10.0.0/8", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Cidr>().ok().map(|cidr| cidr.to_string()).as_deref(), canonical, "{text}");
        }
    }

    #[test]
    fn a_mapped_client_is_an_ipv4_client() {
        let cidr: Cidr = "10.0.0.0/8".parse().unwrap();
        assert!(cidr.contains("::ffff:10.1.1.1".parse().unwrap()));
        assert!(!cidr.contains("::10.1.1.1".parse().unwrap()));
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a server is the machine that we are on. */
#include "net/net.h"
#include "net/proxy.h"
#include "net/resolve.h"
#include "net/url.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

/* The address as one of IPv6, so that there is one kind to compare. Returns whether it is one at all. */
static bool to_ipv6(const struct sockaddr *address, struct in6_addr *ipv6)
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (!address || (address->sa_family != AF_INET && address->sa_family != AF_INET6))
		return false;
	if (address->sa_family == AF_INET6) {
		memcpy(&in6, address, sizeof(in6));
		*ipv6 = in6.sin6_addr;
		return true;
	}
	memcpy(&in, address, sizeof(in));
	memcpy(ipv6->s6_addr, mapped, sizeof(mapped));
	memcpy(ipv6->s6_addr + sizeof(mapped), &in.sin_addr, sizeof(in.sin_addr));
	return true;
}

/* Addresses that are every machine's own: loopback, and the unspecified one, to which a connection goes there as well. */
static bool is_every_machines_own(const struct in6_addr *address)
{
	const unsigned char *ipv4 = address->s6_addr + 12;

	if (!IN6_IS_ADDR_V4MAPPED(address))
		return IN6_IS_ADDR_LOOPBACK(address) || IN6_IS_ADDR_UNSPECIFIED(address);
	return ipv4[0] == 127 || (ipv4[0] | ipv4[1] | ipv4[2] | ipv4[3]) == 0;
}

static bool is_ours(const struct in6_addr *address, const struct ifaddrs *interfaces)
{
	struct in6_addr own;

	if (is_every_machines_own(address))
		return true;
	for (const struct ifaddrs *one = interfaces; one; one = one->ifa_next)
		if (to_ipv6(one->ifa_addr, &own) && IN6_ARE_ADDR_EQUAL(address, &own))
			return true;
	return false;
}

static bool is_any_ours(const struct net_addresses *addresses)
{
	struct ifaddrs *interfaces = NULL;
	struct in6_addr address;
	bool found = false;

	if (getifaddrs(&interfaces) != 0)
		interfaces = NULL;
	for (size_t i = 0; !found && i < addresses->count; i++)
		found = to_ipv6((const struct sockaddr *)&addresses->address[i].storage,
				&address) &&
			is_ours(&address, interfaces);
	if (interfaces)
		freeifaddrs(interfaces);
	return found;
}

bool net_is_this_machine(const char *text, struct deadline deadline)
{
	struct net_addresses addresses;
	struct net_proxy proxy;
	struct net_url url;

	/* Of a server behind a proxy the proxy knows more than we do. */
	if (net_url_parse(text, &url, NULL) < 0 || net_proxy_find(&url, &proxy, NULL) < 0 ||
	    *proxy.host)
		return false;
	return net_resolve(url.host, url.port, deadline, &addresses, NULL) == 0 &&
	       is_any_ours(&addresses);
}

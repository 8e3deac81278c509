/* Preloaded into User-mode Linux where the processor has tile registers (AMX): it gives the host the first
 * 2,696 bytes of a process's registers, and the host takes nothing but all of them, which are 11,008 with the
 * tiles. Nobody in the guest has tiles, which a process must ask for: they stay as they are at first. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

typedef long ptrace_fn(enum __ptrace_request request, pid_t pid, void *address, void *data);

/* Not on the stack, which is small. Only one thread runs the kernel. */
static ptrace_fn *system_ptrace;
static char registers[16384];
static struct iovec whole = {registers, 0};

static long set_registers(pid_t pid, const struct iovec *given)
{
	if (whole.iov_len == 0) {
		whole.iov_len = sizeof registers;
		long result = system_ptrace(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &whole);
		if (result != 0 || whole.iov_len < given->iov_len) {
			whole.iov_len = 0;
			return system_ptrace(PTRACE_SETREGSET, pid, (void *)NT_X86_XSTATE, (void *)given);
		}
	}
	memcpy(registers, given->iov_base, given->iov_len);
	return system_ptrace(PTRACE_SETREGSET, pid, (void *)NT_X86_XSTATE, &whole);
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list arguments;
	va_start(arguments, request);
	pid_t pid = va_arg(arguments, pid_t);
	void *address = va_arg(arguments, void *);
	void *data = va_arg(arguments, void *);
	va_end(arguments);

	if (system_ptrace == NULL)
		system_ptrace = (ptrace_fn *)dlsym(RTLD_NEXT, "ptrace");
	if (request == PTRACE_SETREGSET && address == (void *)NT_X86_XSTATE)
		return set_registers(pid, data);
	return system_ptrace(request, pid, address, data);
}

/* For mke2fs: files have the times of their last change, never later than SOURCE_DATE_EPOCH, so that
 * two builds give the same file system. (e2fsprogs 1.47.1 does that by itself, Debian 12 has 1.47.0.) */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/stat.h>

int lstat64(const char *path, struct stat64 *st)
{
	int (*real)(const char *, struct stat64 *) = dlsym(RTLD_NEXT, "lstat64");
	int result = real(path, st);
	const char *epoch = getenv("SOURCE_DATE_EPOCH");

	if (result == 0 && epoch) {
		if (st->st_mtime > atol(epoch))
			st->st_mtime = atol(epoch);
		st->st_mtim.tv_nsec = 0;
		st->st_atim = st->st_ctim = st->st_mtim;
	}
	return result;
}

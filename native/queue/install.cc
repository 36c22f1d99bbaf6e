#include "queue/install.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "calls/descriptor.h"
#include "calls/fault_point.h"
#include "files/file_info.h"
#include "files/file_lock.h"
#include "platform/platform.h"

namespace fsq {
namespace {

constexpr int kOpenFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// Shows whether an interrupted call took effect: no other process uses a hidden name.
bool IsThere(int directory, const std::string& name) {
  struct stat info;
  return LookAt(directory, name, &info) == 0;
}

bool WasRenamed(int directory, const std::string& from, const std::string& to) {
  return IsThere(directory, to) && !IsThere(directory, from);
}

int MakeDirectory(int parent, const std::string& name) {
  return RetryUnlessMade(
      [&] { return FSQ_CALL_ONCE("install.mkdir", ::mkdirat(parent, name.c_str(), 0700)); },
      [&] { return IsThere(parent, name); });
}

class Installer {
 public:
  explicit Installer(Installation& installation) : plan_(installation) {}

  Failure Run();

 private:
  Failure BuildHidden();
  Descriptor OpenMade(int parent, const std::string& name) const;
  Failure MakeSubdirectory(const std::string& name);
  Failure MakeFile(const Installation::File& file);
  Failure MakeFifo(const Installation::Fifo& fifo);
  Failure SetAttributes(int fd, const std::string& path, mode_t mode) const;
  Failure SyncParents() const;
  Failure Publish();
  Failure Replace();
  void RemoveHidden();

  Failure FailureAt(const char* syscall, const std::string& name) const {
    return Failure{LastError(), syscall, JoinPath(plan_.root, name)};
  }
  Failure FailureOfRename() const {
    return Failure{LastError(), "rename", JoinPath(plan_.root, plan_.hidden),
                   JoinPath(plan_.root, plan_.name)};
  }
  int Rename(const std::string& from, const std::string& to) const {
    return RetryUnlessMade(
        [&] {
          return FSQ_CALL_ONCE("install.rename",
                               ::renameat(root_.get(), from.c_str(), root_.get(), to.c_str()));
        },
        [&] { return WasRenamed(root_.get(), from, to); });
  }
  int Exchange() const;

  Installation& plan_;
  Descriptor root_;
  Descriptor hidden_;
  std::vector<std::string> made_;
  std::vector<std::string> made_files_;
};

Failure SyncDirectory(const char* point, int fd, const std::string& path) {
  (void)point;
  const int result = FSQ_CALL(point, platform::SyncDirectory(fd));
  return result == 0 ? Failure{} : Failure{LastError(), "fsync", path};
}

Failure OpenRoot(const std::string& root, Descriptor* descriptor) {
  *descriptor =
      Descriptor(FSQ_CALL("install.openroot", ::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  return descriptor->valid() ? Failure{} : Failure{LastError(), "open", root};
}

// fchmod last: changing the owner clears bits of the mode.
Failure Installer::SetAttributes(int fd, const std::string& path, mode_t mode) const {
  if (plan_.user != -1 || plan_.group != -1) {
    const int owned = FSQ_CALL("install.chown",
                               ::fchown(fd, static_cast<uid_t>(plan_.user), static_cast<gid_t>(plan_.group)));
    if (owned == -1) return Failure{LastError(), "fchown", path};
  }
  if (FSQ_CALL("install.chmod", ::fchmod(fd, mode)) == -1) return Failure{LastError(), "fchmod", path};
  return SyncDirectory("install.fsync", fd, path);
}

Descriptor Installer::OpenMade(int parent, const std::string& name) const {
  const auto open = [&] { return FSQ_CALL("install.opendir", ::openat(parent, name.c_str(), kOpenFlags)); };
  Descriptor made(open());
  // The umask may have denied access even to the owner.
  if (!made.valid() && errno == EACCES) {
    if (RetryInterrupted(::fchmodat, parent, name.c_str(), 0700, AT_SYMLINK_NOFOLLOW) == 0) {
      made = Descriptor(open());
    } else {
      errno = EACCES;  // a libc without AT_SYMLINK_NOFOLLOW support sets a misleading errno
    }
  }
  return made;
}

Failure Installer::MakeSubdirectory(const std::string& name) {
  const std::string path = JoinPath(JoinPath(plan_.root, plan_.hidden), name);
  if (MakeDirectory(hidden_.get(), name) == -1) {
    return Failure{LastError(), "mkdirat", path};
  }
  made_.push_back(name);
  const Descriptor made = OpenMade(hidden_.get(), name);
  if (!made.valid()) return Failure{LastError(), "openat", path};
  return SetAttributes(made.get(), path, plan_.mode);
}

// Created without O_EXCL, so that the call can be repeated; no other process creates files in this directory.
Failure Installer::MakeFile(const Installation::File& file) {
  const std::string path = JoinPath(JoinPath(plan_.root, plan_.hidden), file.name);
  const Descriptor made(
      FSQ_CALL("install.marker", ::openat(hidden_.get(), file.name.c_str(),
                                          O_CREAT | O_TRUNC | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600)));
  if (!made.valid()) return Failure{LastError(), "openat", path};
  made_files_.push_back(file.name);
  // An empty file tells by its existence. The others have one line for people, so a short write does no
  // harm.
  if (!file.contents.empty() &&
      FSQ_CALL("install.write", ::write(made.get(), file.contents.data(), file.contents.size())) == -1)
    return Failure{LastError(), "write", path};
  return SetAttributes(made.get(), path, plan_.mode & 0666);
}

// By its path: macOS has mkfifoat only from version 13. Nothing else uses the hidden directory, so that the
// name stays that of the FIFO.
Failure Installer::MakeFifo(const Installation::Fifo& fifo) {
  const std::string& name = fifo.name;
  const std::string path = JoinPath(JoinPath(plan_.root, plan_.hidden), name);
  const auto is_made = [&] { return IsThere(hidden_.get(), name); };
  if (RetryUnlessMade([&] { return FSQ_CALL_ONCE("install.fifo", ::mkfifo(path.c_str(), 0600)); }, is_made) ==
      -1)
    return Failure{LastError(), "mkfifo", path};
  made_files_.push_back(name);
  if (plan_.user != -1 || plan_.group != -1) {
    const int owned =
        FSQ_CALL("install.chown", ::fchownat(hidden_.get(), name.c_str(), static_cast<uid_t>(plan_.user),
                                             static_cast<gid_t>(plan_.group), AT_SYMLINK_NOFOLLOW));
    if (owned == -1) return Failure{LastError(), "fchown", path};
  }
  if (FSQ_CALL("install.chmod", ::fchmodat(hidden_.get(), name.c_str(), fifo.mode, 0)) == -1)
    return Failure{LastError(), "fchmod", path};
  return {};
}

// A directory was made durable before it got entries.
Failure Installer::SyncParents() const {
  for (const std::string& directory : plan_.directories) {
    const bool is_parent = std::any_of(
        plan_.directories.begin(), plan_.directories.end(),
        [prefix = directory + "/"](const std::string& other) { return other.starts_with(prefix); });
    if (!is_parent) continue;
    const std::string path = JoinPath(JoinPath(plan_.root, plan_.hidden), directory);
    const Descriptor made(
        FSQ_CALL("install.opendir", ::openat(hidden_.get(), directory.c_str(), kOpenFlags)));
    if (!made.valid()) return Failure{LastError(), "openat", path};
    if (Failure failure = SyncDirectory("install.fsync", made.get(), path)) return failure;
  }
  return {};
}

Failure Installer::BuildHidden() {
  hidden_ = OpenMade(root_.get(), plan_.hidden);
  if (!hidden_.valid()) return FailureAt("openat", plan_.hidden);
  // The lock is held during the build, so that `fsq repair` removes only directories whose builder has died.
  if (FSQ_CALL("install.lock", TryLock(hidden_.get(), LockKind::kFlock)) == -1)
    return FailureAt("flock", plan_.hidden);
  if (FSQ_CALL("install.chmod", ::fchmod(hidden_.get(), 0700)) == -1)
    return FailureAt("fchmod", plan_.hidden);
  for (const std::string& directory : plan_.directories) {
    if (Failure failure = MakeSubdirectory(directory)) return failure;
  }
  for (const Installation::File& file : plan_.files) {
    if (Failure failure = MakeFile(file)) return failure;
  }
  for (const Installation::Fifo& fifo : plan_.fifos) {
    if (Failure failure = MakeFifo(fifo)) return failure;
  }
  if (Failure failure = SyncParents()) return failure;
  return SetAttributes(hidden_.get(), JoinPath(plan_.root, plan_.hidden), plan_.mode);
}

// Plain rename(2) replaces an empty directory at most, and a queue is never empty.
Failure Installer::Publish() {
  if (Rename(plan_.hidden, plan_.name) == 0) {
    plan_.published = true;
  } else if (plan_.replace && (errno == ENOTEMPTY || errno == EEXIST)) {
    if (Failure failure = Replace()) return failure;
  } else {
    return FailureOfRename();
  }
  return SyncDirectory("install.fsyncroot", root_.get(), plan_.root);
}

// An exchange that is made twice changes nothing, so it must take effect exactly once.
int Installer::Exchange() const {
  return RetryUnlessMade(
      [&] {
        return FSQ_CALL_ONCE("install.rename", platform::RenameExchange(root_.get(), plan_.hidden.c_str(),
                                                                        root_.get(), plan_.name.c_str()));
      },
      [&] {
        struct stat own;
        struct stat named;
        return RetryInterrupted(::fstat, hidden_.get(), &own) == 0 &&
               LookAt(root_.get(), plan_.name, &named) == 0 && IdOf(own) == IdOf(named);
      });
}

Failure Installer::Replace() {
  const int exchanged = Exchange();
  if (exchanged == -1 && errno != EINVAL && errno != ENOSYS) return FailureOfRename();
  if (exchanged == -1) {
    // Two steps, and for a moment between them there is no queue.
    const std::string aside = plan_.hidden + "-old";
    if (Rename(plan_.name, aside) == -1) return FailureOfRename();
    if (Rename(plan_.hidden, plan_.name) == -1) {
      const Failure failure = FailureOfRename();
      (void)Rename(aside, plan_.name);
      return failure;
    }
    plan_.leftover = aside;
  }
  if (plan_.leftover.empty()) plan_.leftover = plan_.hidden;
  plan_.published = true;
  return {};
}

void Installer::RemoveHidden() {
  // Each call is tried twice, so that one interrupted or failed call leaves no half-made queue behind.
  const auto remove = [](int directory, const std::string& name, int flags) {
    for (int attempt = 0; attempt < 2; attempt++) {
      if (FSQ_CALL("install.cleanup", ::unlinkat(directory, name.c_str(), flags)) == 0 || errno == ENOENT)
        return;
    }
  };
  for (const std::string& name : made_files_) remove(hidden_.get(), name, 0);
  for (auto name = made_.rbegin(); name != made_.rend(); name++) remove(hidden_.get(), *name, AT_REMOVEDIR);
  remove(root_.get(), plan_.hidden, AT_REMOVEDIR);
}

Failure Installer::Run() {
  if (Failure failure = OpenRoot(plan_.root, &root_)) return failure;
  if (MakeDirectory(root_.get(), plan_.hidden) == -1) {
    return FailureAt("mkdirat", plan_.hidden);
  }
  Failure failure = BuildHidden();
  if (!failure) failure = Publish();
  if (failure && !plan_.published) RemoveHidden();
  if (hidden_.valid()) UnlockAndClose(hidden_.Release(), LockKind::kFlock);
  return failure;
}

}  // namespace

Failure Install(Installation& installation) {
  return Installer(installation).Run();
}

Failure Relocate(const std::string& root, const std::string& from, const std::string& to, bool strict,
                 bool* moved) {
  Descriptor directory;
  if (Failure failure = OpenRoot(root, &directory)) return failure;
  const int fd = directory.get();
  const auto was_made = [&] { return WasRenamed(fd, from, to); };
  int renamed = RetryUnlessMade(
      [&] {
        return FSQ_CALL_ONCE("retire.rename", platform::RenameExclusive(fd, from.c_str(), fd, to.c_str()));
      },
      was_made);
  // Plain rename(2) replaces a file, or an empty directory.
  if (!strict && renamed == -1 && (errno == EINVAL || errno == ENOSYS))
    renamed = RetryUnlessMade([&] { return ::renameat(fd, from.c_str(), fd, to.c_str()); }, was_made);
  if (renamed == -1) return Failure{LastError(), "rename", JoinPath(root, from), JoinPath(root, to)};
  *moved = true;
  return SyncDirectory("retire.fsyncroot", fd, root);
}

}  // namespace fsq

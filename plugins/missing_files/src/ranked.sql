-- Paths that were not found and that may matter: those of programs that ended badly first, then those looked for most often.
-- Without :all, what is no failure is left out and counted: a name that the same program found elsewhere along a path of
-- directories, what was to be removed, what every boot looks for, and what a program did without that then ended well.
WITH looks AS MATERIALIZED (
  SELECT s.id AS id, s.name AS name, s.retno AS retno, e.proc_id AS pid, e.procname AS procname,
    coalesce(guest_path(s.arg0_repr, s.arg1_repr, s.arg2_repr, s.arg3_repr), '') AS path,
    -- O_CREAT, as the kernel of the emulator's host has it.
    s.name LIKE 'sys_mk%' OR s.name LIKE 'sys_symlink%' OR s.name IN ('sys_bind', 'sys_creat')
      OR coalesce(CASE s.name WHEN 'sys_open' THEN s.arg1 WHEN 'sys_openat' THEN s.arg2 END & 64, 0) AS makes,
    CASE WHEN s.name = 'sys_mount' THEN guest_path(replace(s.arg0_repr, 'dev_name=', 'path=')) END AS source
  FROM syscall AS s JOIN event AS e USING (id)
), named AS MATERIALIZED (
  SELECT *, replace(path, rtrim(path, replace(path, '/', '')), '') AS base FROM looks
), found AS (
  SELECT DISTINCT pid, procname, base FROM named
  WHERE base <> '' AND (retno >= 0 OR retno IS NULL) AND name <> 'sys_connect'
), programs AS (
  SELECT DISTINCT base FROM named WHERE name = 'sys_execve' AND retno >= 0
), sources AS (
  SELECT '/' || source AS path FROM named WHERE source IS NOT NULL
), ends AS (
  SELECT pid, max(code <> 0 OR reason LIKE 'signal:%') AS bad FROM proc_exit GROUP BY pid
), missed AS (
  SELECT m.id, m.path, m.makes, m.name = 'sys_connect' AS is_connect, CASE
      WHEN m.name LIKE 'sys_unlink%' OR m.name IN ('sys_rmdir', 'sys_umount', 'sys_umount2') THEN 0
      WHEN m.name <> 'sys_connect' AND (m.pid, m.procname, m.base) IN (SELECT pid, procname, base FROM found) THEN 0
      WHEN m.base IN (SELECT base FROM programs) OR m.path IN (SELECT path FROM sources) THEN 0
      WHEN m.base IN ('ld.so.preload', 'ld.so.cache', 'localtime', 'nsswitch.conf', 'utmp', 'wtmp') THEN 0
      WHEN m.path LIKE '/etc/ld-%.path' OR m.path LIKE '/dev/shm/%' OR m.path = '/dev/log' THEN 0
      WHEN m.path LIKE '%*%' OR m.procname IN ('sysctl', '/sbin/sysctl') THEN 0
      ELSE coalesce((SELECT 2 * bad FROM ends WHERE ends.pid = m.pid AND m.pid <> 0), 1)
    END AS matters
  FROM named AS m
  WHERE m.retno = -2 AND m.path <> ''
    -- A program is known by argv[0]: a bare name or a path.
    AND (:procname IS NULL OR m.procname = :procname OR m.procname = :base
      OR (:bare AND substr(m.procname, -length(:suffix)) = :suffix))
), paths AS (
  SELECT path, count(*) AS hits, min(id) AS first, max(id) AS last, min(is_connect) AS is_socket, max(matters) AS matters,
    max(makes) AS makes
  FROM missed GROUP BY path
)
SELECT path, hits, count(*) OVER () AS total, is_socket,
  (SELECT procname FROM event WHERE id = first) AS first_caller,
  (SELECT procname FROM event WHERE id = last) AS last_caller,
  (SELECT count(*) FROM paths WHERE matters = 0) AS harmless, makes
FROM paths
WHERE matters > 0 OR :all
ORDER BY matters DESC, hits DESC, path
LIMIT :limit

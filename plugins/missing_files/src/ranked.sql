-- Paths that were not found and that may matter: those of programs that ended badly first, then
-- those looked for most often. Without :all, what is no failure is left out and counted: a name
-- that the same program found elsewhere along a path of directories, what was to be removed, what
-- every boot looks for, and what a program did without that then ended well. Rows are grouped
-- before anything is read of their text: there may be millions.
WITH failed AS MATERIALIZED (
  SELECT e.proc_id AS pid, e.procname AS procname, s.name AS name,
    s.arg0_repr AS a0, s.arg1_repr AS a1,
    -- O_CREAT, as the kernel of the emulator's host has it.
    coalesce(max(CASE s.name WHEN 'sys_open' THEN s.arg1 WHEN 'sys_openat' THEN s.arg2 END & 64), 0)
      AS creates,
    count(*) AS hits, min(s.id) AS first, max(s.id) AS last
  FROM syscall AS s JOIN event AS e USING (id)
  WHERE s.retno = -2
    -- A program is known by argv[0]: a bare name or a path.
    AND (:procname IS NULL OR e.procname = :procname OR e.procname = :base
      OR (:bare AND substr(e.procname, -length(:suffix)) = :suffix))
  GROUP BY e.proc_id, e.procname, s.name, s.arg0_repr, s.arg1_repr
), named AS MATERIALIZED (
  SELECT *, replace(path, rtrim(path, replace(path, '/', '')), '') AS base,
    creates OR name LIKE 'sys_mk%' OR name LIKE 'sys_symlink%'
      OR name IN ('sys_bind', 'sys_creat') AS makes
  FROM (SELECT *, coalesce(guest_path(a0, a1), '') AS path FROM failed)
), succeeded AS MATERIALIZED (
  SELECT DISTINCT e.proc_id AS pid, e.procname AS procname, s.name = 'sys_execve' AS executed,
    CASE WHEN s.name = 'sys_mount' THEN replace(s.arg0_repr, 'dev_name=', 'path=') END AS source,
    s.arg0_repr AS a0, s.arg1_repr AS a1
  FROM syscall AS s JOIN event AS e USING (id)
  WHERE (s.retno >= 0 OR s.retno IS NULL) AND s.name <> 'sys_connect'
), found AS MATERIALIZED (
  SELECT DISTINCT pid, procname, executed, base FROM (
    SELECT *, replace(path, rtrim(path, replace(path, '/', '')), '') AS base
    FROM (SELECT *, coalesce(guest_path(a0, a1), '') AS path FROM succeeded)
  ) WHERE base IN (SELECT base FROM named)
), sources AS (
  SELECT '/' || guest_path(source) AS path FROM succeeded WHERE source IS NOT NULL
), ends AS MATERIALIZED (
  SELECT pid, max(code <> 0 OR reason LIKE 'signal:%') AS bad FROM proc_exit GROUP BY pid
), missed AS (
  SELECT m.path, m.hits, m.first, m.last, m.makes, m.name = 'sys_connect' AS is_connect, CASE
      WHEN m.name LIKE 'sys_unlink%' THEN 0
      WHEN m.name IN ('sys_rmdir', 'sys_umount', 'sys_umount2') THEN 0
      WHEN m.name <> 'sys_connect'
        AND (m.pid, m.procname, m.base) IN (SELECT pid, procname, base FROM found) THEN 0
      WHEN m.base IN (SELECT base FROM found WHERE executed) THEN 0
      WHEN m.path IN (SELECT path FROM sources) THEN 0
      WHEN m.base IN ('ld.so.preload', 'ld.so.cache', 'localtime', 'nsswitch.conf') THEN 0
      WHEN m.base IN ('utmp', 'wtmp') THEN 0
      WHEN m.path LIKE '/etc/ld-%.path' OR m.path LIKE '/dev/shm/%' THEN 0
      WHEN m.path = '/dev/log' OR m.path LIKE '%*%' THEN 0
      WHEN m.procname IN ('sysctl', '/sbin/sysctl') THEN 0
      ELSE coalesce((SELECT 2 * bad FROM ends WHERE ends.pid = m.pid AND m.pid <> 0), 1)
    END AS matters
  FROM named AS m
  WHERE m.path <> ''
), paths AS (
  SELECT path, sum(hits) AS hits, min(first) AS first, max(last) AS last,
    min(is_connect) AS is_socket, max(matters) AS matters, max(makes) AS makes
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
